//! `<swarm-spark>`: the rate of the last minutes as a line. Property `samples`: `{at, value}` by time; a rate holds until the next sample.

const SPAN_MS = 3 * 60_000;
const SHORTEST_MS = 15_000;
const MOST_BUCKETS = 90;
// Longer than the time between two events, so that no bucket is without one while something flows.
const BUCKET_SECONDS = 1.5;
const WIDTH = 360;
const HEIGHT = 56;
const SVG = "http://www.w3.org/2000/svg";

class Spark extends HTMLElement {
  /** @type {{at: number, value: number}[]} */
  #samples = [];
  #area = document.createElementNS(SVG, "path");
  #line = document.createElementNS(SVG, "path");

  connectedCallback() {
    if (this.firstChild) return;
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    this.#area.setAttribute("class", "area");
    this.#line.setAttribute("class", "line");
    svg.append(this.#area, this.#line);
    this.append(svg);
  }

  /** @param {{at: number, value: number}[]} samples */
  set samples(samples) {
    this.#samples = samples;
    this.#draw();
  }

  #draw() {
    const end = Date.now();
    const seconds = spanSeconds(this.#samples);
    const values = bucketsOf(this.#samples, end - seconds * 1000, end, Math.min(MOST_BUCKETS, Math.floor(seconds / BUCKET_SECONDS)));
    const top = Math.max(1, ...values) * 1.12;
    const points = values.map((value, index) => [(index / (values.length - 1)) * WIDTH, HEIGHT - 2 - (value / top) * (HEIGHT - 6)]);
    const line = smooth(points);
    this.#line.setAttribute("d", line);
    this.#area.setAttribute("d", `${line}L${WIDTH},${HEIGHT}L0,${HEIGHT}Z`);
  }
}

/** What the line shows: what is known, three minutes at most. @param {{at: number}[]} samples @returns {number} */
export function spanSeconds(samples) {
  const known = samples.length ? Date.now() - samples[0].at : 0;
  return Math.round(Math.min(SPAN_MS, Math.max(SHORTEST_MS, known)) / 1000);
}

/** Mean of each bucket. @param {{at: number, value: number}[]} samples @param {number} start @param {number} end @param {number} buckets @returns {number[]} */
function bucketsOf(samples, start, end, buckets) {
  const values = [];
  let next = 0;
  let held = samples[0]?.value ?? 0;
  for (let bucket = 0; bucket < buckets; bucket += 1) {
    const until = start + ((bucket + 1) * (end - start)) / buckets;
    let sum = 0;
    let count = 0;
    for (; next < samples.length && samples[next].at <= until; next += 1) {
      held = samples[next].value;
      sum += held;
      count += 1;
    }
    values.push(count ? sum / count : held);
  }
  return values;
}

/** @param {number[][]} points @returns {string} */
function smooth(points) {
  let path = `M${point(points[0])}`;
  for (let index = 1; index < points.length; index += 1) {
    const [before, here] = [points[index - 1], points[index]];
    const middle = (before[0] + here[0]) / 2;
    path += `C${point([middle, before[1]])} ${point([middle, here[1]])} ${point(here)}`;
  }
  return path;
}

/** @param {number[]} at */
function point(at) {
  return `${at[0].toFixed(1)},${at[1].toFixed(1)}`;
}

customElements.define("swarm-spark", Spark);

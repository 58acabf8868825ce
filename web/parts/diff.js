//! Differences of two texts by lines. Bounded: what is too long to compare is shown side by side without a comparison.

const MAX_LINES = 4000;
const MAX_STEPS = 800;
const CONTEXT = 3;

/** @typedef {{kind: "same" | "changed" | "skipped", left: string | null, right: string | null, leftAt: number, rightAt: number, count?: number}} DiffRow */

/** @param {string} left @param {string} right @returns {{rows: DiffRow[], isCut: boolean}} */
export function diffLines(left, right) {
  const a = left.split("\n");
  const b = right.split("\n");
  const isCut = a.length > MAX_LINES || b.length > MAX_LINES;
  const pairs = shortest(a.slice(0, MAX_LINES), b.slice(0, MAX_LINES));
  return { rows: fold(rowsOf(pairs, a.slice(0, MAX_LINES), b.slice(0, MAX_LINES))), isCut };
}

/** Lines that both have, as pairs of indices: Myers' greedy algorithm between the common start and end.
 * @param {string[]} a @param {string[]} b @returns {[number, number][]} */
function shortest(a, b) {
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head += 1;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail += 1;
  /** @type {[number, number][]} */
  const pairs = [];
  for (let index = 0; index < head; index += 1) pairs.push([index, index]);
  for (const [i, j] of middle(a.slice(head, a.length - tail), b.slice(head, b.length - tail))) pairs.push([i + head, j + head]);
  for (let index = tail; index > 0; index -= 1) pairs.push([a.length - index, b.length - index]);
  return pairs;
}

/** @param {string[]} a @param {string[]} b @returns {[number, number][]} */
function middle(a, b) {
  const trace = [];
  let front = new Map([[1, 0]]);
  for (let steps = 0; steps <= Math.min(a.length + b.length, MAX_STEPS); steps += 1) {
    trace.push(front);
    const next = new Map(front);
    for (let k = -steps; k <= steps; k += 2) {
      const isDown = k === -steps || (k !== steps && at(front, k - 1) < at(front, k + 1));
      let x = isDown ? at(front, k + 1) : at(front, k - 1) + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x += 1;
      next.set(k, x);
      if (x >= a.length && x - k >= b.length) return walkBack([...trace, next], a, b);
    }
    front = next;
  }
  return [];
}

/** @param {Map<number, number>} front @param {number} k */
function at(front, k) {
  return front.get(k) ?? -1;
}

/** @param {Map<number, number>[]} trace @param {string[]} a @param {string[]} b @returns {[number, number][]} */
function walkBack(trace, a, b) {
  /** @type {[number, number][]} */
  const pairs = [];
  let x = a.length;
  let y = b.length;
  for (let steps = trace.length - 2; steps >= 0; steps -= 1) {
    const front = trace[steps];
    const k = x - y;
    const isDown = k === -steps || (k !== steps && at(front, k - 1) < at(front, k + 1));
    const fromK = isDown ? k + 1 : k - 1;
    const fromX = steps === 0 ? 0 : at(front, fromK);
    const fromY = steps === 0 ? 0 : fromX - fromK;
    while (x > fromX && y > fromY && a[x - 1] === b[y - 1]) {
      x -= 1;
      y -= 1;
      pairs.push([x, y]);
    }
    x = fromX;
    y = fromY;
  }
  return pairs.reverse();
}

/** @param {[number, number][]} pairs @param {string[]} a @param {string[]} b @returns {DiffRow[]} */
function rowsOf(pairs, a, b) {
  /** @type {DiffRow[]} */
  const rows = [];
  let x = 0;
  let y = 0;
  for (const [i, j] of [...pairs, /** @type {[number, number]} */ ([a.length, b.length])]) {
    for (; x < i || y < j; ) {
      const left = x < i ? a[x] : null;
      const right = y < j ? b[y] : null;
      rows.push({ kind: "changed", left, right, leftAt: x + 1, rightAt: y + 1 });
      if (x < i) x += 1;
      if (y < j) y += 1;
    }
    if (i < a.length && j < b.length) rows.push({ kind: "same", left: a[i], right: b[j], leftAt: i + 1, rightAt: j + 1 });
    x = i + 1;
    y = j + 1;
  }
  return rows;
}

/** Leaves out long runs of equal lines. @param {DiffRow[]} rows @returns {DiffRow[]} */
function fold(rows) {
  const near = new Set();
  rows.forEach((row, index) => {
    if (row.kind !== "changed") return;
    for (let other = index - CONTEXT; other <= index + CONTEXT; other += 1) near.add(other);
  });
  /** @type {DiffRow[]} */
  const folded = [];
  rows.forEach((row, index) => {
    const last = folded.at(-1);
    if (near.has(index)) folded.push(row);
    else if (last?.kind === "skipped") last.count = (last.count ?? 0) + 1;
    else folded.push({ kind: "skipped", left: null, right: null, leftAt: row.leftAt, rightAt: row.rightAt, count: 1 });
  });
  return folded;
}

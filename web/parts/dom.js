//! Turns descriptions of elements into the document, and changes only what differs, so that focus, scroll positions and open menus outlive an update.
//! Invariant: text reaches the document as text nodes and attributes only. There is no way to put markup into it.

const SVG = "http://www.w3.org/2000/svg";
const SVG_TAGS = new Set(["svg", "path", "use", "circle", "line", "g", "rect", "defs", "linearGradient", "stop", "title"]);

/**
 * Describes an element. `tag` may carry classes: `div.card.wide`.
 * Props: `on…` handlers, `.name` a property of the element, `style` an object, `ref` called with the element once, `own` children are the element's own.
 * @param {string} tag
 * @param {Record<string, any> | null} [props]
 * @param {...Child} children
 * @returns {VNode}
 */
export function h(tag, props, ...children) {
  const [name, ...classes] = tag.split(".");
  const all = { ...props };
  if (classes.length) all.class = all.class ? `${classes.join(" ")} ${all.class}` : classes.join(" ");
  return { tag: name, props: all, children: flat(children, []), key: all.key ?? null, text: "", el: null };
}

/** @param {Child[]} children @param {VNode[]} into @returns {VNode[]} */
function flat(children, into) {
  for (const child of children) {
    if (Array.isArray(child)) flat(child, into);
    else if (child !== null && typeof child === "object") into.push(child);
    // An absent child keeps its place as empty text, so that its neighbours are matched with themselves.
    else into.push({ tag: "", props: {}, children: [], key: null, text: child === false || child == null ? "" : String(child), el: null });
  }
  return into;
}

/** @type {WeakMap<Element, VNode[]>} what was rendered last into an element */
const rendered = new WeakMap();

/** @param {Element} root @param {Child} content */
export function render(root, content) {
  const next = flat([content], []);
  patchChildren(root, rendered.get(root) ?? [], next);
  rendered.set(root, next);
}

/** @param {Element} parent @param {VNode[]} old @param {VNode[]} next */
function patchChildren(parent, old, next) {
  const keyed = new Map(old.filter((node) => node.key !== null).map((node) => [node.key, node]));
  const rest = old.filter((node) => node.key === null);
  const used = new Set();
  let at = 0;
  for (const node of next) {
    const before = node.key !== null ? keyed.get(node.key) : rest[at++];
    if (before && before.tag === node.tag && !used.has(before)) {
      used.add(before);
      patch(before, node);
    } else create(node);
  }
  for (const node of old) if (!used.has(node)) node.el?.parentNode?.removeChild(node.el);
  let place = parent.firstChild;
  for (const node of next) {
    const el = /** @type {Node} */ (node.el);
    if (el === place) place = place.nextSibling;
    else parent.insertBefore(el, place);
  }
}

/** @param {VNode} node */
function create(node) {
  if (node.tag === "") {
    node.el = document.createTextNode(node.text);
    return;
  }
  const el = SVG_TAGS.has(node.tag) ? document.createElementNS(SVG, node.tag) : document.createElement(node.tag);
  node.el = el;
  setProps(el, {}, node.props);
  if (!node.props.own) patchChildren(el, [], node.children);
  setLate(el, {}, node.props);
  node.props.ref?.(el);
}

/** @param {VNode} old @param {VNode} next */
function patch(old, next) {
  next.el = old.el;
  if (next.tag === "") {
    if (old.text !== next.text) /** @type {Text} */ (next.el).data = next.text;
    return;
  }
  const el = /** @type {Element} */ (next.el);
  setProps(el, old.props, next.props);
  if (!next.props.own) patchChildren(el, old.children, next.children);
  setLate(el, old.props, next.props);
}

const LATE = new Set(["value", "checked", "selected"]);
const SKIPPED = new Set(["key", "ref", "own", ...LATE]);

/** @param {Element} el @param {Record<string, any>} old @param {Record<string, any>} next */
function setProps(el, old, next) {
  for (const name of Object.keys(old)) if (!(name in next)) setProp(el, name, old[name], null);
  for (const name of Object.keys(next)) if (old[name] !== next[name]) setProp(el, name, old[name], next[name]);
}

/** @param {any} el @param {string} name @param {any} old @param {any} value */
function setProp(el, name, old, value) {
  if (SKIPPED.has(name)) return;
  // A handler's value is dropped: `false` would stop what the browser does by itself.
  if (name.startsWith("on")) el[name.toLowerCase()] = value ? (/** @type {Event} */ event) => void value(event) : null;
  else if (name.startsWith(".")) el[name.slice(1)] = value;
  else if (name === "style") setStyle(el, old ?? {}, value ?? {});
  else if (value === null || value === undefined || (value === false && !name.startsWith("aria-"))) el.removeAttribute(name);
  else el.setAttribute(name, value === true && !name.startsWith("aria-") ? "" : String(value));
}

/** @param {HTMLElement} el @param {Record<string, string>} old @param {Record<string, string>} next */
function setStyle(el, old, next) {
  for (const name of Object.keys(old)) if (!(name in next)) el.style.removeProperty(name);
  for (const name of Object.keys(next)) if (old[name] !== next[name]) el.style.setProperty(name, next[name]);
}

/** A field's value is set after its children (a select needs its options), and only when the description of it changed: what is typed stays.
 * @param {any} el @param {Record<string, any>} old @param {Record<string, any>} next */
function setLate(el, old, next) {
  for (const name of LATE) if (name in next && (old[name] !== next[name] || name === "checked")) el[name] = next[name];
}

/** Puts the sprite of the icons into the document. A reference into another file would ask for that file anew, and show nothing while the daemon is away. */
export async function loadIcons() {
  const answer = await fetch("icons.svg");
  const sprite = document.importNode(new DOMParser().parseFromString(await answer.text(), "image/svg+xml").documentElement, true);
  for (const symbol of sprite.children) symbol.id = `icon-${symbol.id}`;
  sprite.setAttribute("class", "sprite");
  sprite.setAttribute("aria-hidden", "true");
  document.body.prepend(sprite);
}

/** An icon of the sprite. @param {string} name @param {string} [className] */
export function icon(name, className = "") {
  return h("svg", { class: `icon ${className}`, viewBox: "0 0 24 24", "aria-hidden": "true" }, h("use", { href: `#icon-${name}` }));
}

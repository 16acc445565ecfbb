// Elements without a library: `h` builds them, `morph` applies a new tree to the page. Texts become
// text nodes, so that no value is ever parsed as HTML.

/** @typedef {import('./types').Child} Child */
/** @typedef {Record<string, string | number | boolean | null | undefined | Record<string, string>>} Attributes */

const SVG = 'http://www.w3.org/2000/svg';
const SVG_TAGS = new Set(['svg', 'use', 'path', 'rect', 'circle', 'g', 'line', 'defs', 'linearGradient', 'stop']);

/** Attributes that hold what a person did to an element. `morph` keeps them. */
const LIVE_ATTRIBUTES = new Set(['open', 'value']);

/**
 * An element. `vars` are custom CSS properties, which the policy of the page allows where it forbids
 * style attributes.
 *
 * @param {string} tag
 * @param {Attributes | null} [attributes]
 * @param {...Child} children
 * @returns {HTMLElement}
 */
export function h(tag, attributes, ...children) {
  const element = SVG_TAGS.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === 'object') {
      for (const [property, text] of Object.entries(value)) {
        /** @type {HTMLElement} */ (element).style.setProperty(property, text);
      }
    } else {
      element.setAttribute(name, value === true ? '' : String(value));
    }
  }
  append(element, children);
  return /** @type {HTMLElement} */ (element);
}

/**
 * @param {Node} parent
 * @param {Child} child
 */
function append(parent, child) {
  if (Array.isArray(child)) {
    for (const each of child) append(parent, each);
  } else if (child instanceof Node) {
    parent.appendChild(child);
  } else if (child !== null && child !== undefined && child !== false) {
    parent.appendChild(document.createTextNode(String(child)));
  }
}

/**
 * Makes the children of `parent` equal to `children`. Elements that stay keep their identity, and with
 * it focus, scroll position and listeners. `data-key` identifies an element among its siblings.
 *
 * @param {Element} parent
 * @param {...Child} children
 */
export function render(parent, ...children) {
  const next = document.createElement('div');
  append(next, children);
  morphChildren(parent, next);
}

/**
 * @param {Node} node
 * @returns {string | null}
 */
const keyOf = (node) => (node instanceof Element ? node.getAttribute('data-key') : null);

/**
 * @param {Node} a
 * @param {Node} b
 */
const isSameKind = (a, b) => a.nodeName === b.nodeName && keyOf(a) === keyOf(b);

/**
 * @param {Element} parent
 * @param {Element} next
 */
function morphChildren(parent, next) {
  const nextKeys = new Set([...next.children].map(keyOf).filter((key) => key !== null));
  /** @type {Map<string, Element>} */
  const keyed = new Map();
  for (const child of [...parent.children]) {
    const key = keyOf(child);
    if (key === null) continue;
    // Removed first, so that no element that stays is moved, which would take its focus.
    if (nextKeys.has(key)) keyed.set(key, child);
    else child.remove();
  }
  /** @type {Node | null} */
  let current = parent.firstChild;
  for (const wanted of [...next.childNodes]) {
    const key = keyOf(wanted);
    const match = key === null ? current : (keyed.get(key) ?? null);
    if (match && isSameKind(match, wanted)) {
      if (match === current) current = current.nextSibling;
      else parent.insertBefore(match, current);
      morph(match, wanted);
    } else {
      parent.insertBefore(wanted, current);
    }
  }
  while (current) {
    const following = current.nextSibling;
    parent.removeChild(current);
    current = following;
  }
}

/**
 * @param {Node} node
 * @param {Node} next
 */
function morph(node, next) {
  if (!(node instanceof Element) || !(next instanceof Element)) {
    if (node.nodeValue !== next.nodeValue) node.nodeValue = next.nodeValue;
    return;
  }
  morphAttributes(node, next);
  morphChildren(node, next);
}

/**
 * @param {Element} element
 * @param {Element} next
 */
function morphAttributes(element, next) {
  for (const { name } of [...element.attributes]) {
    if (name !== 'style' && !LIVE_ATTRIBUTES.has(name) && !next.hasAttribute(name)) element.removeAttribute(name);
  }
  for (const { name, value } of next.attributes) {
    if (name === 'style' || LIVE_ATTRIBUTES.has(name)) continue;
    if (element.getAttribute(name) !== value) element.setAttribute(name, value);
  }
  const style = /** @type {HTMLElement} */ (element).style;
  const nextStyle = /** @type {HTMLElement} */ (next).style;
  if (style.cssText !== nextStyle.cssText) style.cssText = nextStyle.cssText;
}

/**
 * The element with this id, which index.html contains.
 *
 * @param {string} id
 * @returns {HTMLElement}
 */
export function byId(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`index.html has no #${id}`);
  return element;
}

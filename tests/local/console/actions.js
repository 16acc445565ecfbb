// Event handling by delegation: an element names its action in `data-action` (click), `data-submit`,
// `data-input` or `data-change`. So elements need no listeners of their own.

/** @typedef {(element: HTMLElement, event: Event) => void} Handler */

/** @type {Map<string, Handler>} */
const handlers = new Map();

/**
 * @param {string} name
 * @param {Handler} handler
 */
export function onAction(name, handler) {
  handlers.set(name, handler);
}

/**
 * @param {Event} event
 * @param {string} attribute
 */
function dispatch(event, attribute) {
  if (!(event.target instanceof Element)) return;
  const element = event.target.closest(`[${attribute}]`);
  if (!(element instanceof HTMLElement) || element.getAttribute('aria-disabled') === 'true') return;
  handlers.get(element.getAttribute(attribute) ?? '')?.(element, event);
}

export function listen() {
  document.addEventListener('click', (event) => dispatch(event, 'data-action'));
  document.addEventListener('input', (event) => dispatch(event, 'data-input'));
  document.addEventListener('change', (event) => dispatch(event, 'data-change'));
  document.addEventListener('submit', (event) => {
    event.preventDefault();
    dispatch(event, 'data-submit');
  });
  document.addEventListener('keydown', moveInGroup);
}

/**
 * The arrow keys move within a tab list, as people expect of one.
 * <https://www.w3.org/WAI/ARIA/apg/patterns/tabs/>
 *
 * @param {KeyboardEvent} event
 */
function moveInGroup(event) {
  const steps = { ArrowRight: 1, ArrowLeft: -1 };
  const target = event.target instanceof Element ? event.target.closest('[role=tab]') : null;
  const list = target?.closest('[role=tablist]');
  if (!target || !list) return;
  const tabs = /** @type {HTMLElement[]} */ ([...list.querySelectorAll('[role=tab]')]);
  const index = tabs.indexOf(/** @type {HTMLElement} */ (target));
  const last = tabs.length - 1;
  const step = steps[/** @type {keyof typeof steps} */ (event.key)];
  const wanted = event.key === 'Home' ? 0 : event.key === 'End' ? last : step && (index + step + tabs.length) % tabs.length;
  if (wanted === undefined || Number.isNaN(wanted)) return;
  event.preventDefault();
  const id = tabs[wanted]?.id;
  tabs[wanted]?.click();
  if (id) document.getElementById(id)?.focus();
}

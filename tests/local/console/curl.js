// A request as a command for a shell.

/** @typedef {import('./types').StackRequest} StackRequest */

/** Headers that curl or the connection adds by itself. */
const SKIPPED = /^(host|connection|content-length|accept|accept-encoding|accept-language|user-agent|origin|referer|sec-.*|cache-control|pragma|x-forwarded-.*|x-amzn-.*|forwarded|x-console|te|upgrade.*)$/;

/** What a terminal could take for its own, such as the end of a paste. */
const CONTROL = /[\0-\x08\x0b-\x1f\x7f]/g;

/**
 * A text of the request, which anyone may have sent, as one word that the shell does not interpret.
 *
 * @param {string} text
 */
function quote(text) {
  if (text.search(CONTROL) === -1) return `'${text.replaceAll("'", String.raw`'\''`)}'`;
  const escaped = text.replace(/[\\']/g, String.raw`\$&`);
  return `$'${escaped.replace(CONTROL, (it) => `\\x${it.charCodeAt(0).toString(16).padStart(2, '0')}`)}'`;
}

/**
 * The command with `$TOKEN` in place of the token.
 *
 * @param {StackRequest} request
 * @param {{ api: string, stream: string | null }} addresses
 */
export function toCurl(request, addresses) {
  const isClient = request.kind === 'client';
  const base = (isClient ? addresses.stream : addresses.api) ?? addresses.api;
  const query = isClient && !request.path.includes('?') ? '"?api_key=$API_KEY"' : '';
  // Without `-g`, curl would expand brackets in the path.
  const lines = [`curl -sSg -X ${quote(request.method)} ${quote(base + request.path)}${query}`];
  for (const [name, value] of Object.entries(request.request.headers)) {
    const lower = name.toLowerCase();
    if (SKIPPED.test(lower)) continue;
    if (lower === 'authorization') lines.push(isClient ? '-H "Authorization: $STREAM_TOKEN"' : '-H "Authorization: Bearer $TOKEN"');
    else lines.push(`-H ${quote(`${name}: ${value}`)}`);
  }
  if (request.request.body) lines.push(`--data-raw ${quote(request.request.body)}`);
  return lines.join(' \\\n  ');
}

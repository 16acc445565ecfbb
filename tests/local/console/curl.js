// A request as a command for a shell.

/** @typedef {import('./types').StackRequest} StackRequest */

/** Headers that curl or the connection adds by itself. */
const SKIPPED = /^(host|connection|content-length|accept|accept-encoding|accept-language|user-agent|origin|referer|sec-.*|cache-control|pragma|x-forwarded-.*|x-amzn-.*|forwarded|x-console|te|upgrade.*)$/;

/** @param {string} text */
const quote = (text) => `'${text.replaceAll("'", String.raw`'\''`)}'`;

/**
 * The command with `$TOKEN` in place of the token.
 *
 * @param {StackRequest} request
 * @param {{ api: string, stream: string | null }} addresses
 */
export function toCurl(request, addresses) {
  const isClient = request.kind === 'client';
  const base = (isClient ? addresses.stream : addresses.api) ?? addresses.api;
  const query = isClient && !request.path.includes('?') ? '?api_key=$API_KEY' : '';
  const lines = [`curl -sS${request.method === 'GET' ? '' : ` -X ${request.method}`} ${query ? `"${base}${request.path}${query}"` : quote(base + request.path)}`];
  for (const [name, value] of Object.entries(request.request.headers)) {
    const lower = name.toLowerCase();
    if (SKIPPED.test(lower)) continue;
    if (lower === 'authorization') lines.push(isClient ? '-H "Authorization: $STREAM_TOKEN"' : '-H "Authorization: Bearer $TOKEN"');
    else lines.push(`-H ${quote(`${name}: ${value}`)}`);
  }
  if (request.request.body) lines.push(`-d ${quote(request.request.body)}`);
  return lines.join(' \\\n  ');
}

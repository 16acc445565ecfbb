/** Paths and queries. React Native implements only a part of `URL` and `URLSearchParams`. */

type QueryValue = string | number | boolean | undefined;

/** The base URL without its trailing slashes. */
export function normalizeBaseUrl(baseUrl: string): string {
  return baseUrl.replace(/\/+$/, '');
}

/**
 * A path segment. `fetch` resolves dot segments, also encoded ones, and an empty segment can name another route. So
 * these become other invalid ids, which the API rejects (`invalid_id`, `invalid_path`).
 */
export function segment(value: string): string {
  if (value === '') return '%20';
  return value === '.' || value === '..' ? encodeURIComponent(value.replace(/\./g, '%2E')) : encodeURIComponent(value);
}

/** A query with its `?`, or an empty text without a value. */
export function queryString(parameters: { readonly [name: string]: QueryValue }): string {
  const parts: string[] = [];
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined) parts.push(`${encodeURIComponent(name)}=${encodeURIComponent(String(value))}`);
  }
  return parts.length > 0 ? `?${parts.join('&')}` : '';
}

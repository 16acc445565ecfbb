/** The API and the session of the tests, from the environment. */
export function required(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
}

export const headers = () => ({ Authorization: `Bearer ${required('SERVICE_TOKEN')}` });

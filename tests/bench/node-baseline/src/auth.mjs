// Authentication: the caller is taken from the session JWT.

import jwt from 'jsonwebtoken';

import { HttpError } from './response.mjs';

const SECRET = process.env.JWT_SECRET;
const VERIFY_OPTIONS = { algorithms: ['HS256'], clockTolerance: 60 };

export function authenticate(event) {
  const [scheme, token] = (event.headers.authorization ?? '').split(' ');
  try {
    const bearer = scheme.toLowerCase() === 'bearer' ? token : '';
    const { sub, exp } = jwt.verify(bearer, SECRET, VERIFY_OPTIONS);
    if (sub && exp) return sub;
  } catch {
    // Every cause gets the same response.
  }
  throw new HttpError(401, 'unauthorized', 'The session token is missing or not valid');
}

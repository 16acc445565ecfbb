// Who calls: whoever the verified session JWT says.

import jwt from 'jsonwebtoken';

import { Refusal } from './answer.mjs';

const SECRET = process.env.JWT_SECRET;
const OPTIONS = { algorithms: ['HS256'], clockTolerance: 60 };

export function callerOf(event) {
  const [scheme, token] = (event.headers.authorization ?? '').split(' ');
  try {
    const bearer = scheme.toLowerCase() === 'bearer' ? token : '';
    const { sub, exp } = jwt.verify(bearer, SECRET, OPTIONS);
    if (sub && exp) return sub;
  } catch {
    // One answer for every cause.
  }
  throw new Refusal(401, 'unauthorized', 'The session token is missing or not valid');
}

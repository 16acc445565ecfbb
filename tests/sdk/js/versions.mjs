// The installed version of a package.

import { readFileSync } from 'node:fs';
import path from 'node:path';

/** The packages are installed beside the directory of this file. */
const packages = path.join(import.meta.dirname, '..', 'node_modules');

export function versionOf(name) {
  return JSON.parse(readFileSync(path.join(packages, name, 'package.json'), 'utf8')).version;
}

import { existsSync } from 'node:fs';
import { join, parse } from 'node:path';

/** The path itself, or with `-2`, `-3` … when something is there. */
export function freePath(path: string): string {
  const { dir, name, ext } = parse(path);
  for (let attempt = 1; ; attempt++) {
    const candidate = attempt === 1 ? path : join(dir, `${name}-${attempt}${ext}`);
    if (!existsSync(candidate)) return candidate;
  }
}

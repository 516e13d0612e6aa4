import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Gives each test of the surrounding suite a folder of its own, gone after the test. Returns a path within it. */
export function useTempFolder(): (...names: string[]) => string {
  let folder = '';
  beforeEach(() => {
    // A blank in the path, as in many a home folder.
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'sqlite-backup test-')));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  return (...names) => join(folder, ...names);
}

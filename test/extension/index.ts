import { globSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { format } from 'node:util';
import Mocha from 'mocha';
import * as vscode from 'vscode';

/** Called by VS Code; rejects when a test fails. `TEST_GREP` narrows the suite. */
export async function run(): Promise<void> {
  process.setSourceMapsEnabled(true);
  // By the mark, a host tells the lines of the suite from all the others of the window.
  const mark = process.env['TEST_LOG_MARK'] ?? '';
  const log = (...args: unknown[]): void => console.log(`${mark}${format(...args)}`);
  Mocha.reporters.Base.consoleLog = log;
  log(`VS Code ${vscode.version} (${process.env['TEST_HOST'] ?? 'development'})`);

  const mocha = new Mocha({
    ui: 'bdd',
    // Ample on a busy machine, and an end for a test that hangs.
    timeout: 60_000,
    reporter: resolve(__dirname, '../../test/support/reporter.cjs'),
    grep: process.env['TEST_GREP'] ?? '',
  });
  for (const file of globSync('*.test.cjs', { cwd: __dirname })) {
    mocha.addFile(join(__dirname, file));
  }
  const failures = await new Promise<number>((settle) => mocha.run(settle));
  if (failures > 0) throw new Error(`${failures} tests failed`);
}

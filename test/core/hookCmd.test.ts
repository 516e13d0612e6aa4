import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const plugin = join(import.meta.dirname, '../../agent-plugin');

/** The script runs on Windows only. Here its text is held to rules of cmd. */
describe('the text of hook.cmd', () => {
  const text = readFileSync(join(plugin, 'hooks/hook.cmd'), 'latin1');
  const lines = text.split(/\r?\n/).filter((line) => line !== '' && !line.startsWith('rem '));

  it('echoes no command, ends with 0, and prints an object whatever was answered', () => {
    assert.equal(lines[0], '@echo off');
    assert.equal(lines.at(-1), 'exit /b 0');
    assert.equal(lines.at(-2), 'echo(!answer!');
    assert.ok(text.indexOf('set "answer={}"') < text.indexOf('for /f'));
    assert.match(text, /2\^>nul/);
  });

  it('expands ! only after the answer is read, which may have one', () => {
    assert.ok(text.indexOf('enabledelayedexpansion') > text.indexOf('do set "answer=%%a"'));
    assert.match(text, /usebackq delims="/);
  });

  it('uses no variable that it has not set, but that of the system', () => {
    const used = [...text.matchAll(/%(\w+)%/g)].map(([, name]) => name ?? '');
    const set = [...text.matchAll(/set (?:\/p |")?(\w+)=/g)].map(([, name]) => name);
    for (const name of used) assert.ok(set.includes(name) || name === 'LOCALAPPDATA', name);
  });

  it('holds no letter that depends on a code page', () => {
    assert.doesNotMatch(text, /[^\t\r\n -~]/);
  });

  it('is what each event calls on Windows', () => {
    const { hooks } = JSON.parse(readFileSync(join(plugin, 'hooks/hooks.json'), 'utf8')) as {
      hooks: Record<string, { hooks: { windows: string }[] }[]>;
    };
    const calls = Object.values(hooks).flatMap((one) => one.flatMap((each) => each.hooks));
    assert.equal(calls.length, 5);
    for (const { windows } of calls) {
      assert.equal(windows, '"${CLAUDE_PLUGIN_ROOT}\\hooks\\hook.cmd"');
      assert.ok(existsSync(join(plugin, 'hooks/hook.cmd')));
    }
  });
});

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  hasHookFiles,
  planHookFiles,
  removeHookFiles,
  writeHookFiles,
} from '../../src/agents/hookFiles.ts';
import { useDataFolder } from '../support/dataFolders.ts';
import { useTempFolder } from '../support/tempFolders.ts';

describe('the hook in files of other agents', () => {
  const folder = useTempFolder();
  useDataFolder(() => folder('data'));
  let root = '';
  let claude = '';
  const copilot = (): string => join(root, '.github/hooks/sqlite-backup.json');

  beforeEach(() => {
    root = folder('work');
    claude = join(root, '.claude/settings.local.json');
    mkdirSync(root);
  });
  const given = (text: string): void => {
    mkdirSync(join(root, '.claude'), { recursive: true });
    writeFileSync(claude, text);
  };
  const isUntouched = (): boolean => !existsSync(join(root, '.github'));

  it('changes nothing where one of the files is broken, or no settings', () => {
    for (const text of ['{"hooks": {', '[]', 'null', '{"hooks": []}', '// words\n{}']) {
      given(text);
      const { changed, failed } = writeHookFiles(root);
      assert.deepEqual([changed, failed], [[], [{ path: claude, trouble: 'not-json' }]]);
      assert.equal(readFileSync(claude, 'utf8'), text);
      assert.ok(isUntouched());
      assert.deepEqual(removeHookFiles(root), { changed: [], failed: [] });
    }
  });

  it('follows no link out of the project, and no folder in the place of a file', () => {
    mkdirSync(folder('elsewhere'));
    symlinkSync(folder('elsewhere'), join(root, '.claude'));
    assert.deepEqual(writeHookFiles(root).failed, [{ path: claude, trouble: 'outside' }]);
    assert.deepEqual(readdirSync(folder('elsewhere')), []);
    mkdirSync(copilot(), { recursive: true });
    assert.equal(planHookFiles(root)[0]?.trouble, 'not-read');
  });

  it('leaves nothing half-made where the second file cannot be written', function () {
    if (process.platform === 'win32' || process.getuid?.() === 0) {
      // Root may write into any folder: a file in the way stands for it.
      mkdirSync(join(root, '.claude'));
      mkdirSync(join(root, '.claude', `settings.local.json.${process.pid}`));
    } else {
      mkdirSync(join(root, '.claude'));
      chmodSync(join(root, '.claude'), 0o500);
    }
    const { changed, failed } = writeHookFiles(root);
    assert.deepEqual([changed, failed], [[], [{ path: claude, trouble: 'not-written' }]]);
    assert.ok(isUntouched());
    assert.ok(!existsSync(claude));
  });

  it('is taken away byte for byte, with the files and folders that were made for it', () => {
    const before = '{\n    "permissions": { "allow": ["Bash(ls)"] }\n}';
    given(before);
    assert.equal(hasHookFiles(root), false);
    const planned = planHookFiles(root).map(({ text }) => text);
    assert.deepEqual(writeHookFiles(root).changed, [copilot(), claude]);
    assert.deepEqual(
      [copilot(), claude].map((path) => readFileSync(path, 'utf8')),
      planned,
    );
    assert.ok(hasHookFiles(root));
    // A second time, as from another window, changes nothing.
    assert.deepEqual(writeHookFiles(root).changed, []);
    assert.deepEqual(removeHookFiles(root).changed, [copilot(), claude]);
    assert.equal(readFileSync(claude, 'utf8'), before);
    assert.ok(isUntouched());
    assert.deepEqual(removeHookFiles(root), { changed: [], failed: [] });
  });

  it('leaves what others have added meanwhile', () => {
    const theirs = { matcher: 'Bash', hooks: [{ type: 'command', command: 'echo theirs' }] };
    given(`{\n\t"hooks": { "PreToolUse": [${JSON.stringify(theirs)}] }\n}\n`);
    writeHookFiles(root);
    const written = JSON.parse(readFileSync(claude, 'utf8')) as Record<string, object>;
    writeFileSync(claude, `${JSON.stringify({ ...written, model: 'x' }, null, '\t')}\n`);
    removeHookFiles(root);
    const text = readFileSync(claude, 'utf8');
    assert.deepEqual(JSON.parse(text), { hooks: { PreToolUse: [theirs] }, model: 'x' });
    assert.match(text, /^\{\n\t"hooks"/);
  });

  it('is there once when two windows write at the same moment', async () => {
    given('{"model": "x"}\n');
    const entry = new URL('../../src/agents/hookFiles.ts', import.meta.url).href;
    const script = `const { writeHookFiles } = await import(${JSON.stringify(entry)}); writeHookFiles(${JSON.stringify(root)});`;
    const window = (): Promise<unknown> =>
      promisify(execFile)(process.execPath, ['--input-type=module', '-e', script]);
    await Promise.all([window(), window()]);
    const count = readFileSync(claude, 'utf8').split('sqlite-backup hook').length - 1;
    assert.equal(count, 5);
    removeHookFiles(root);
    assert.deepEqual(JSON.parse(readFileSync(claude, 'utf8')), { model: 'x' });
  });
});

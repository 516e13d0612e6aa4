import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';

const root = resolve(import.meta.dirname, '../..');

/** The core's files without any effect, which faces may use at run time. */
const pureCore = [
  'errors',
  'folderSetting',
  'handCommands',
  'manifest',
  'migrations',
  'names',
  'retention',
  'runbook',
  'units',
];

interface Import {
  file: string;
  /** A package, or the path of the imported file relative to `src`. */
  target: string;
  isType: boolean;
}

const imports = globSync('src/**/*.ts', { cwd: root }).flatMap((file) => importsOf(file));

describe('the import rules', () => {
  it('are checked against what there is', () => {
    assert.ok(imports.length > 50, `only ${imports.length} imports were found`);
  });

  it('let only core/sqlite.ts import the driver', () => {
    expectNone(
      ({ file, target }) => target.startsWith('better-sqlite3') && file !== 'core/sqlite.ts',
    );
  });

  it('let only the editor, the runbook panel and the extension import vscode', () => {
    expectNone(
      ({ file, target }) =>
        target === 'vscode' && !/^(editor\/|runbook\/panel\.ts$|extension\.ts$)/.test(file),
    );
  });

  it('keep the core to itself', () => {
    const allowed =
      /^(node:|core\/|better-sqlite3$|valibot$|picomatch$|yauzl$|@zip\.js\/zip\.js\/lib\/zip-core-custom\.js$)/;
    expectNone(({ file, target }) => file.startsWith('core/') && !allowed.test(target));
  });

  it('let the worker import the core and itself', () => {
    const allowed = /^(node:|core\/|worker\/|valibot$)/;
    expectNone(({ file, target }) => file.startsWith('worker/') && !allowed.test(target));
  });

  it('give the faces only types and pure files of the core, and the client of the worker', () => {
    const allowed = new RegExp(
      `^(worker/(client|jobs|protocol)\\.ts|core/(${pureCore.join('|')})\\.ts)$`,
    );
    expectNone(
      ({ file, target, isType }) =>
        /^(editor|cli|runbook)\//.test(file) &&
        /^(core|worker)\//.test(target) &&
        !isType &&
        !allowed.test(target),
    );
  });

  it('keep the page of the runbook to itself, its protocol and what runs in a browser', () => {
    const allowed = /^(runbook\/page\/|runbook\/protocol\.ts$)/;
    expectNone(({ file, target }) => file.startsWith('runbook/page/') && !allowed.test(target));
    expectNone(({ file, target }) => file === 'runbook/protocol.ts' && target !== 'valibot');
  });

  it('keep the pure files of the core pure', () => {
    const files = pureCore.map((name) => `core/${name}.ts`);
    const allowed = new RegExp(`^(node:(path|util)|valibot|core/(${pureCore.join('|')})\\.ts)$`);
    expectNone(
      ({ file, target, isType }) => files.includes(file) && !isType && !allowed.test(target),
    );
  });

  it('let nobody import extension.ts', () => {
    expectNone(({ target }) => target === 'extension.ts');
  });
});

function expectNone(isWrong: (one: Import) => boolean): void {
  assert.deepEqual(
    imports.filter(isWrong).map(({ file, target }) => `${file} imports ${target}`),
    [],
  );
}

function importsOf(file: string): Import[] {
  const text = readFileSync(join(root, file), 'utf8');
  const statements = text.matchAll(/^(?:import|export)\s(?:[^;]*?\sfrom\s+)?'([^']+)'/gms);
  return [...statements].map(([statement, specifier = '']) => ({
    file: fromSource(join(root, file)),
    target: specifier.startsWith('.')
      ? fromSource(resolve(root, dirname(file), specifier))
      : specifier,
    isType: /^(?:import|export)\s+type\s/.test(statement),
  }));
}

function fromSource(path: string): string {
  return relative(join(root, 'src'), path).split(sep).join('/');
}

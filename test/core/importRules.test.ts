import assert from 'node:assert/strict';
import { globSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';

const root = resolve(import.meta.dirname, '../..');

/** The core's files without any effect, which faces may use at run time. */
const pureCore = [
  'catalog/backupPlaces',
  'catalog/candidate',
  'catalog/folderLevels',
  'catalog/folderSetting',
  'catalog/protection',
  'catalog/retention',
  'checkpoint/commands',
  'checkpoint/turns',
  'errors',
  'files/dataFolderPath',
  'manifest/lineage',
  'manifest/loss',
  'manifest/manifest',
  'manifest/names',
  'manifest/shortNames',
  'manifest/verdictWords',
  'offsite/byHand',
  'offsite/due',
  'offsite/newest',
  'offsite/trouble',
  'runbook/elsewhere',
  'runbook/handCommands',
  'runbook/posixBlocks',
  'runbook/posixParts',
  'runbook/posixScripts',
  'runbook/powerShellBlocks',
  'runbook/runbook',
  'sentences',
  'sqlite/migrations',
  'units',
];

/** The folders of the core from the lowest floor to the highest; folders on one floor do not know each other. */
const floors = [
  ['errors.ts', 'pause.ts', 'units.ts'],
  ['files', 'sentences.ts'],
  ['job.ts', 'manifest', 'holders'],
  ['sqlite'],
  ['compare'],
  ['snapshot'],
  ['bundle'],
  ['verify', 'catalog'],
  ['restore', 'checkpoint', 'offsite'],
  ['states'],
  ['runbook', 'doctor', 'inspect'],
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

  it('let only core/sqlite/ import the driver', () => {
    expectNone(
      ({ file, target }) => target.startsWith('better-sqlite3') && !file.startsWith('core/sqlite/'),
    );
  });

  it('let only the editor and the extension import vscode', () => {
    expectNone(
      ({ file, target }) =>
        target === 'vscode' && !/^(editor\/|(extension|api\.d)\.ts$)/.test(file),
    );
  });

  it('keep the core to itself', () => {
    const allowed =
      /^(node:|core\/|better-sqlite3$|valibot$|picomatch$|yauzl$|@zip\.js\/zip\.js\/lib\/zip-core-custom\.js$)/;
    expectNone(({ file, target }) => file.startsWith('core/') && !allowed.test(target));
  });

  it('keep every file of the source short enough to be read at once', () => {
    const long = globSync('src/**/*.ts', { cwd: root }).filter(
      (file) => readFileSync(join(root, file), 'utf8').split('\n').length > 401,
    );
    assert.deepEqual(long, []);
  });

  it('name every file and folder of the core on one floor', () => {
    const rooms = new Set(readdirSync(join(root, 'src/core')));
    assert.deepEqual([...rooms].sort(), floors.flat().sort());
  });

  it('let no file of the core import from its own floor outside its folder, or from a higher one', () => {
    expectNone(
      ({ file, target }) =>
        file.startsWith('core/') &&
        target.startsWith('core/') &&
        roomOf(file) !== roomOf(target) &&
        floorOf(target) >= floorOf(file),
    );
  });

  it('let no files import each other in a circle', () => {
    assert.deepEqual(circlesIn(imports), []);
  });

  it('let the worker import the core and itself', () => {
    const allowed = /^(node:|core\/|worker\/|valibot$)/;
    expectNone(({ file, target }) => file.startsWith('worker/') && !allowed.test(target));
  });

  it('give the faces only types and pure files of the core, and the client of the worker', () => {
    const allowed = new RegExp(
      `^(worker/(agentsRuntime|client|doctor|jobs|protocol|residentClient|residentFirst)\\.ts|core/(${pureCore.join('|')})\\.ts)$`,
    );
    expectNone(
      ({ file, target, isType }) =>
        /^(editor|cli|runbook)\//.test(file) &&
        /^(core|worker)\//.test(target) &&
        !isType &&
        !allowed.test(target),
    );
  });

  it('give what answers agents the files of the core that read no database, and no worker', () => {
    const allowed = new RegExp(
      `^(node:|agents/|valibot$|@modelcontextprotocol/server|core/(checkpoint/(stamp|store|unchanged)|files/\\w+|${pureCore.join('|')})\\.ts)`,
    );
    expectNone(
      ({ file, target, isType }) => file.startsWith('agents/') && !isType && !allowed.test(target),
    );
  });

  it('keep the pages to themselves, their protocols and what runs in a browser', () => {
    const allowed = /^(runbook\/page\/|runbook\/(look\/)?protocol\.ts$)/;
    expectNone(({ file, target }) => file.startsWith('runbook/page/') && !allowed.test(target));
    expectNone(({ file, target }) => file === 'runbook/protocol.ts' && target !== 'valibot');
    expectNone(
      ({ file, target }) =>
        file === 'runbook/look/protocol.ts' && !/^(valibot|runbook\/protocol\.ts)$/.test(target),
    );
  });

  it('keep the pure files of the core pure', () => {
    const files = pureCore.map((name) => `core/${name}.ts`);
    const allowed = new RegExp(
      `^(node:(crypto|path|util)|valibot|core/(${pureCore.join('|')})\\.ts)$`,
    );
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

/** The folder of the core that a file is in; a file directly in the core is a room of its own. */
function roomOf(path: string): string {
  return path.split('/')[1] ?? '';
}

function floorOf(path: string): number {
  const floor = floors.findIndex((rooms) => rooms.includes(roomOf(path)));
  assert.notEqual(floor, -1, `${path} is on no floor`);
  return floor;
}

/** The files that are reached from themselves; imports of types count as well. */
function circlesIn(all: Import[]): string[] {
  const targetsOf = Map.groupBy(all, ({ file }) => file);
  const reachedFrom = (start: string): Set<string> => {
    const reached = new Set<string>();
    const waiting = [start];
    for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
      for (const { target } of targetsOf.get(file) ?? []) {
        if (!reached.has(target)) waiting.push(target);
        reached.add(target);
      }
    }
    return reached;
  };
  return [...targetsOf.keys()].filter((file) => reachedFrom(file).has(file)).sort();
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

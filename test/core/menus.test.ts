import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

interface Entry {
  command?: string;
  submenu?: string;
  when?: string;
}
const { contributes } = JSON.parse(
  readFileSync(resolve(import.meta.dirname, '../../package.json'), 'utf8'),
) as {
  contributes: {
    menus: Record<string, Entry[]>;
    submenus: { id: string }[];
    configurationDefaults: { 'explorer.fileNesting.patterns': Record<string, string> };
  };
};
const { menus, submenus } = contributes;

function whenOf(menu: string, name: string): string {
  const found = menus[menu]?.find(({ command, submenu }) => (command ?? submenu) === name);
  return found?.when ?? '';
}

describe('the Explorer', () => {
  it('nests what SQLite and a backup put beside a file below it', () => {
    const patterns = contributes.configurationDefaults['explorer.fileNesting.patterns'];
    for (const extension of ['db', 'sqlite', 'sqlite3']) {
      const nested = patterns[`*.${extension}`]?.split(/,\s*/) ?? [];
      for (const suffix of ['-wal', '-shm', '-journal', '.json'])
        assert.ok(
          nested.some((one) => one.endsWith(`${extension}${suffix}`)),
          `${extension} ${suffix}`,
        );
    }
  });
});

describe('the menus', () => {
  it('of a row stay when other rows are selected: the clicked row decides', () => {
    const hidden = (menus['view/item/context'] ?? []).filter(({ when = '' }) =>
      when.includes('listMultiSelection'),
    );
    assert.deepEqual(hidden, []);
  });

  it('of the Explorer offer a backup of databases by content, and never of a backup', () => {
    const when = whenOf('explorer/context', 'sqliteBackup.backUp');
    assert.match(when, /resourcePath in sqliteBackup\.byContent/);
    // The name decides only as long as the databases are not known.
    assert.match(
      when,
      /\(sqliteBackup\.databases != some && sqliteBackup\.databases != none && resourceExtname/,
    );
  });

  it('of the Explorer have one entry for backups, with what a backup is for', () => {
    const [id = ''] = submenus.map((one) => one.id);
    assert.match(whenOf('explorer/context', id), /resourcePath in sqliteBackup\.backupFiles/);
    assert.deepEqual(
      menus[id]?.map(({ command }) => command?.split('.')[1]),
      ['restore', 'lookInside', 'verify', 'showInBackups'],
    );
  });

  it('offer to undo a restore, and to delete what it kept, only where there is something', () => {
    for (const command of ['sqliteBackup.undoRestore', 'sqliteBackup.deleteSetAside']) {
      assert.match(whenOf('view/title', command), /&& sqliteBackup\.previous$/, command);
      assert.match(whenOf('view/item/context', command), /\\bprevious\\b/, command);
    }
  });
});

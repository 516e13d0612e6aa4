import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { dataFolderPath, makeDataFolder } from '../../src/core/files/dataFolder.ts';
import type { Surroundings } from '../../src/core/files/dataFolderPath.ts';
import { withDataFolder } from '../support/dataFolders.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const pathFor = (
  env: Surroundings['env'],
  platform: Surroundings['platform'] = 'linux',
  homes: string[] = ['/home/ann'],
): string => dataFolderPath({ env, platform, homes: () => homes });

describe('the data folder', () => {
  it('cannot be found for a user without any home, and the error says what to do', () => {
    assert.throws(() => pathFor({}, 'linux', ['', '']), { code: 'access', hint: /XDG_DATA_HOME/ });
    assert.equal(pathFor({ XDG_DATA_HOME: '/d' }, 'linux', ['', '']), '/d/sqlite-backup');
  });

  for (const [what, env] of [
    ['empty', { XDG_DATA_HOME: '' }],
    ['relative', { XDG_DATA_HOME: 'data' }],
    ['that of a snap', { XDG_DATA_HOME: '/home/ann/snap/code/182/.local/share' }],
    ['that of a Flatpak', { XDG_DATA_HOME: '/home/ann/.var/app/com.visualstudio.code/data' }],
  ] as const) {
    it(`is the one in the home folder when XDG_DATA_HOME is ${what}`, () => {
      assert.equal(pathFor(env), '/home/ann/.local/share/sqlite-backup');
    });
  }

  it('is the one that was chosen before a snap changed it', () => {
    const env = {
      XDG_DATA_HOME: '/home/ann/snap/code/182/.local/share',
      XDG_DATA_HOME_VSCODE_SNAP_ORIG: '/data',
    };
    assert.equal(pathFor(env), '/data/sqlite-backup');
  });

  it('is where each system keeps such things', () => {
    assert.equal(pathFor({ XDG_DATA_HOME: '/data' }), '/data/sqlite-backup');
    assert.equal(
      pathFor({}, 'darwin', ['/Users/ann']),
      '/Users/ann/Library/Application Support/sqlite-backup',
    );
    assert.equal(
      pathFor({ LOCALAPPDATA: 'D:\\Local' }, 'win32', ['C:\\Users\\ann']),
      'D:\\Local\\sqlite-backup',
    );
    assert.equal(
      pathFor({}, 'win32', ['C:\\Users\\ann']),
      'C:\\Users\\ann\\AppData\\Local\\sqlite-backup',
    );
  });

  it('is the one of the system for a program that was started without HOME, as by cron', () => {
    assert.equal(pathFor({}, 'linux', ['', '/home/ann']), '/home/ann/.local/share/sqlite-backup');
    assert.equal(pathFor({}, 'linux', ['.', '/home/ann']), '/home/ann/.local/share/sqlite-backup');
  });

  describe('on the disk', () => {
    const folder = useTempFolder();

    it('is made for this user only, also when it was open to others', () => {
      withDataFolder(folder('data'), () => {
        const made = makeDataFolder('identities');
        assert.equal(made, folder('data', 'sqlite-backup', 'identities'));
        const modes = [folder('data', 'sqlite-backup'), made].map(
          (path) => statSync(path).mode & 0o777,
        );
        assert.deepEqual(modes, [0o700, 0o700]);
        chmodSync(folder('data', 'sqlite-backup'), 0o755);
        makeDataFolder();
        assert.equal(statSync(folder('data', 'sqlite-backup')).mode & 0o777, 0o700);
      });
    });

    it('that is a file is told as one', () => {
      mkdirSync(folder('data'));
      writeFileSync(folder('data', 'sqlite-backup'), '');
      withDataFolder(folder('data'), () => {
        assert.throws(() => makeDataFolder(), { code: 'access', message: /is not a folder/ });
      });
    });
  });
});

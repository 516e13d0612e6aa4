import assert from 'node:assert/strict';
import {
  mountedFolders,
  namesFor,
  type PlaceFacts,
  placesFor,
} from '../../src/core/catalog/backupPlaces.ts';

const facts: PlaceFacts = {
  workspace: '/home/u/code/shop',
  dataFolder: '/home/u/.local/share/sqlite-backup',
  isContainer: false,
  mounted: [],
  used: new Set(),
};
const shown = (changes: Partial<PlaceFacts>): string[] =>
  placesFor({ ...facts, ...changes }).map(
    ({ kind, path, diesWithContainer }) => `${kind} ${path}${diesWithContainer ? ' dies' : ''}`,
  );
const [byName, byPlace] = namesFor(facts);

describe('the places for backups', () => {
  it('begin outside of the work tree, in a folder with the name of the workspace', () => {
    assert.equal(byName, '/home/u/.local/share/sqlite-backup/backups/shop');
    assert.deepEqual(shown({}), [`outside ${byName}`, 'workspace /home/u/code/shop/backups']);
  });

  it('give another workspace of the same name a folder of its own, and offer the used one too', () => {
    const other = namesFor({ ...facts, workspace: '/srv/shop' });
    assert.notEqual(other[1], byPlace);
    assert.deepEqual(shown({ used: new Set([byName]) }), [
      `outside ${byPlace}`,
      `outside-used ${byName}`,
      'workspace /home/u/code/shop/backups',
    ]);
  });

  it('begin on a mount in a container, and end with what a rebuild removes', () => {
    assert.deepEqual(shown({ isContainer: true, mounted: ['/data', '/more'] }), [
      'mounted /data/sqlite-backups/shop',
      'workspace /home/u/code/shop/backups',
      `outside ${byName} dies`,
    ]);
    assert.deepEqual(shown({ isContainer: true }).at(0), 'workspace /home/u/code/shop/backups');
  });

  it('take a mount for one only when it is a disk, writable, and not what the work tree is in', () => {
    const mounts = [
      'overlay / overlay rw 0 0',
      'proc /proc proc rw 0 0',
      '/dev/sda1 /etc/hosts ext4 rw 0 0',
      '/dev/sda1 /workspaces/shop ext4 rw 0 0',
      '/dev/sda1 /vscode ext4 rw 0 0',
      '/dev/sda1 /root/.vscode-server ext4 rw 0 0',
      '/dev/sdb1 /frozen ext4 ro 0 0',
      'tmpfs /scratch tmpfs rw 0 0',
      '/dev/sdc1 /my\\040data ext4 rw,relatime 0 0',
      'grpcfuse /host fuse.grpcfuse rw 0 0',
      'nonsense',
      '',
    ].join('\n');
    assert.deepEqual(mountedFolders(mounts, '/workspaces/shop'), ['/my data', '/host']);
  });
});

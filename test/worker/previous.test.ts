import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { listSetAsides } from '../../src/core/restore/setAside.ts';
import { previousIn } from '../../src/editor/previous.ts';
import { createDatabase } from '../support/databases.ts';
import { useTempFolder } from '../support/tempFolders.ts';

describe('the previous databases of a workspace', () => {
  const folder = useTempFolder();
  const asked: string[] = [];
  const worker = {
    call: (_method: string, params: unknown): Promise<never> => {
      const { in: where } = params as { in: string };
      asked.push(where);
      return Promise.resolve(listSetAsides(where) as never);
    },
  };
  beforeEach(() => void asked.splice(0));

  it('are found by the live database that they were', async () => {
    const live = createDatabase(folder('app.db'), { rows: 1 });
    const kept = createDatabase(folder('app.db.bad-20261121_134502Z'), { rows: 2 });
    const found = await previousIn([folder(), folder()], worker, (one) => assert.fail(String(one)));
    assert.deepEqual(
      found.get(live)?.map(({ path }) => path),
      [kept],
    );
    assert.deepEqual(asked, [folder()], 'each folder once');
  });

  it('cost no process where there are none, and no error where there is no folder', async () => {
    createDatabase(folder('app.db'), { rows: 1 });
    writeFileSync(folder('app.db.bad'), 'x');
    assert.equal(
      (await previousIn([folder(), folder('gone')], worker, (one) => assert.fail(String(one))))
        .size,
      0,
    );
    assert.deepEqual(asked, []);
  });

  it('of one folder are shown though another cannot be read, and that is told', async () => {
    const live = createDatabase(folder('app.db'), { rows: 1 });
    createDatabase(folder('app.db.bad-20261121_134502Z'), { rows: 2 });
    mkdirSync(folder('locked'));
    createDatabase(folder('locked/b.db.bad-20261121_134502Z'), { rows: 2 });
    const failing = {
      call: (method: string, params: unknown): Promise<never> =>
        (params as { in: string }).in === folder('locked')
          ? Promise.reject(new Error('no access'))
          : worker.call(method, params),
    };
    const told: unknown[] = [];
    const found = await previousIn([folder('locked'), folder()], failing, (one) => told.push(one));
    assert.deepEqual([...found.keys()], [live]);
    assert.match(String(told), /no access/);
  });
});

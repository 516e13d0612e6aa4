import assert from 'node:assert/strict';
import { type NamedDatabase, ShortNames } from '../../src/core/manifest/shortNames.ts';

describe('the short name of a database', () => {
  const namesOf = (...databases: NamedDatabase[]): string[] => {
    const names = new ShortNames(databases);
    return databases.map((one) => names.of(one));
  };
  const inOne = (...paths: string[]): string[] => namesOf(...paths.map((path) => ({ path })));

  it('is the file name where that is enough', () => {
    assert.deepEqual(inOne('data/app.db', 'data/old/sessions.db', 'x.db'), [
      'app.db',
      'sessions.db',
      'x.db',
    ]);
  });

  it('takes in as many folders as tell it apart, for each database by itself', () => {
    assert.deepEqual(inOne('api/prisma/dev.db', 'web/prisma/dev.db', 'web/other/dev.db'), [
      'api/prisma/dev.db',
      'web/prisma/dev.db',
      'other/dev.db',
    ]);
  });

  it('is the whole path of one whose path is the end of another', () => {
    assert.deepEqual(inOne('dev.db', 'prisma/dev.db', 'a/prisma/dev.db'), [
      'dev.db',
      'prisma/dev.db',
      'a/prisma/dev.db',
    ]);
  });

  it('begins with the workspace where several have the same path', () => {
    assert.deepEqual(
      namesOf(
        { path: 'data/app.db', workspace: 'shop' },
        { path: 'data/app.db', workspace: 'blog' },
        { path: 'data/sole.db', workspace: 'blog' },
      ),
      ['shop/data/app.db', 'blog/data/app.db', 'sole.db'],
    );
  });

  it('is the path of a database that came later, and no two of them are alike', () => {
    assert.equal(new ShortNames([{ path: 'a/b.db' }]).of({ path: 'c/b.db' }), 'c/b.db');
    const paths = Array.from({ length: 3000 }, (_, index) => `s${index % 20}/db${index}/app.db`);
    const names = inOne(...paths);
    assert.equal(new Set(names).size, 3000);
    assert.equal(names[7], 'db7/app.db');
  });
});

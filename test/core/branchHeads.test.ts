import assert from 'node:assert/strict';
import { type Head, Heads } from '../../src/editor/protection/heads.ts';

describe('switches of the branch, as the extension for git tells of them', () => {
  /** Of each look, the branch before, `?` where none was known, and `-` where nothing was switched. */
  const seen = (...heads: (string | undefined)[]): string[] => {
    const all = new Heads();
    return heads
      .map((name): Head => (name === undefined ? {} : { name }))
      .map((head) => all.look('/repository', head))
      .map((before) => (before === undefined ? '-' : (before.name ?? '?')));
  };

  it('are not hidden by what lies between two branches', () => {
    assert.deepEqual(seen('main', undefined, 'feature'), ['-', '-', 'main']);
    assert.deepEqual(seen('main', undefined, undefined, 'main'), ['-', '-', '-', '-']);
  });

  it('are seen where the first branch was not told', () => {
    assert.deepEqual(seen(undefined, 'feature', 'feature'), ['-', '?', '-']);
  });

  it('are one each, however often git tells of them', () => {
    assert.deepEqual(seen('main', 'main', 'feature', 'feature', 'main'), [
      ...['-', '-', 'main', '-', 'feature'],
    ]);
  });

  it('are told by the newest commit of the branch before', () => {
    const heads = new Heads();
    for (const commit of ['1', '2']) heads.look('/repository', { name: 'main', commit });
    const before = heads.look('/repository', { name: 'feature', commit: '3' });
    assert.deepEqual(before, { name: 'main', commit: '2' });
  });

  it('are seen again when they could not be followed, and not when the repository is closed', () => {
    const heads = new Heads();
    const look = (): Head | undefined => heads.look('/repository', { name: 'feature' });
    assert.equal(look(), undefined);
    heads.again('/repository');
    assert.deepEqual([look(), look()], [{}, undefined]);
    heads.forget('/repository');
    heads.again('/repository');
    assert.deepEqual([[...heads.roots()], look()], [[], undefined]);
  });
});

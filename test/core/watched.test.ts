import assert from 'node:assert/strict';
import { Watched } from '../../src/editor/protection/watched.ts';

describe('when rows are counted again', () => {
  /** The seconds at which a database with these states, one a second, is due. */
  const dueAt = (states: (string | undefined)[], watched = new Watched()): number[] =>
    states.flatMap((state, second) => {
      if (!watched.isDue({ state, at: second * 1000 })) return [];
      watched.settle(state);
      return [second];
    });

  it('is once when a database is first seen, and not again while nothing changes', () => {
    assert.deepEqual(dueAt(Array<string>(100).fill('a')), [2]);
  });

  it('is when a writer has been quiet for two seconds', () => {
    assert.deepEqual(dueAt(['a', 'a', 'a', 'b', 'c', 'd', 'd', 'd', 'd', 'd']), [2, 7]);
  });

  it('is once a minute under a writer that is never quiet', () => {
    const states = Array.from({ length: 200 }, (_one, second) => `${second}`);
    assert.deepEqual(dueAt(states), [60, 121, 182]);
  });

  it('is also when the file is gone, but not for one that was replaced in a moment', () => {
    assert.deepEqual(dueAt(['a', 'a', 'a', undefined, undefined, undefined, undefined]), [2, 5]);
    assert.deepEqual(dueAt(['a', 'a', 'a', undefined, 'a', 'a', 'a']), [2]);
  });
});

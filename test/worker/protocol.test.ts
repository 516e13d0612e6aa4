import assert from 'node:assert/strict';
import { parseFromWorker, parseToWorker } from '../../src/worker/protocol.ts';
import { throttleProgress } from '../../src/worker/throttle.ts';

const junk = [undefined, null, 0, '', 'ok', [], {}, { ok_: 1 }, () => undefined];

describe('the protocol', () => {
  it('knows no message but its own', () => {
    for (const message of [
      ...junk,
      { call: {} },
      { call: { method: 'toString', params: {} } },
      { publish: 1 },
    ]) {
      assert.equal(parseToWorker(message), undefined);
    }
    for (const message of [
      ...junk,
      { ready: 1 },
      { error: {} },
      { error: { code: 'x', message: '' } },
      { progress: 1 },
    ]) {
      assert.equal(parseFromWorker(message), undefined);
    }
  });

  it('has a message for each turn of the conversation', () => {
    const calls = [{ call: { method: 'list', params: { folder: '/b' } } }, { publish: true }];
    assert.deepEqual(calls.map(parseToWorker), calls);
    const replies = [
      { progress: { phase: 'copy', doneBytes: 1, totalBytes: 2 } },
      { ready: true },
      { ok: [] },
      { error: { code: 'deadline', message: 'x', facts: { deadlineMs: 1 } } },
    ];
    assert.deepEqual(replies.map(parseFromWorker), replies);
  });
});

describe('progress', () => {
  it('is passed on at the start and the end of each phase, and in between not all the time', () => {
    const seen: string[] = [];
    const report = throttleProgress(({ phase, doneBytes }) => seen.push(`${phase} ${doneBytes}`));
    for (const phase of ['copy', 'hash'] as const) {
      for (let doneBytes = 0; doneBytes <= 10_000; doneBytes++)
        report({ phase, doneBytes, totalBytes: 10_000 });
    }
    for (const needed of ['copy 0', 'copy 10000', 'hash 0', 'hash 10000'])
      assert.ok(seen.includes(needed), needed);
    assert.ok(seen.length < 20, `${seen.length} reports`);
  });
});

import assert from 'node:assert/strict';
import { parseMemory, parseToHost, parseToPage } from '../../src/runbook/protocol.ts';
import type { RunbookState } from '../../src/runbook/protocol.ts';
import { hostileState, states } from '../support/runbookStates.ts';

describe('messages to the host', () => {
  const garbage: unknown[] = [
    undefined,
    null,
    'ready',
    42,
    [],
    {},
    { ready: false },
    { act: '/srv/shop/data/app.db' },
    { act: '../app.db' },
    { act: 'C:\\shop\\app.db' },
    { act: 'command:workbench.action.quit' },
    { act: '' },
    { act: 'a'.repeat(65) },
    { act: ['run-stop-task'] },
    { act: 'run-stop-task', path: '/srv/shop/data/app.db' },
    { act: 'run-stop-task', tick: 'confirm-stopped', value: true },
    { tick: 'confirm-stopped', value: 'yes' },
    { tick: 'confirm-stopped' },
    { copy: { step: 'stop', shell: 'bash' } },
    { copy: { step: 'stop', shell: 'posix', text: 'rm -rf /' } },
    { trouble: 'the page says what it wants' },
  ];
  for (const message of garbage) {
    it(`are refused when they are ${JSON.stringify(message)}`, () => {
      assert.deepEqual(parseToHost(message, states.stop), { refused: 'no message of the page' });
    });
  }

  const notOffered: [unknown, RunbookState | undefined][] = [
    [{ act: 'undo' }, states.stop], // Shown, but disabled.
    [{ act: 'stop-done' }, states.stop],
    [{ act: 'restore-live' }, states.stop],
    [{ act: 'confirm-stopped' }, states.stop], // Another kind of thing.
    [{ tick: 'member-9', value: true }, states['plan-bundle']],
    [{ copy: { step: 'verify', shell: 'posix' } }, states.stop], // A step without commands.
    [{ act: 'run-stop-task' }, undefined],
  ];
  for (const [message, state] of notOffered) {
    it(`are refused when nothing of the kind was shown: ${JSON.stringify(message)}`, () => {
      const received = parseToHost(message, state);
      assert.match('refused' in received ? received.refused : 'accepted', /^not offered: /);
    });
  }

  const accepted: [object, RunbookState | undefined][] = [
    [{ ready: true }, undefined],
    [{ trouble: 'page-failed' }, undefined],
    [{ act: 'run-stop-task' }, states.stop],
    [{ act: 'export' }, states.stop],
    [{ act: 'compare-app' }, states.stop],
    [{ act: 'schema-app' }, states.stop],
    [{ act: 'roll-back' }, states.interrupted],
    [{ act: 'restore-live' }, states.plan],
    [{ tick: 'confirm-stopped', value: true }, states.stop],
    [{ tick: 'member-2', value: true }, states['plan-bundle']],
    [{ tick: 'spot-1', value: true }, states.verify],
    [{ copy: { step: 'stop', shell: 'powershell' } }, states.stop],
  ];
  for (const [message, state] of accepted) {
    it(`pass when the state offers them: ${JSON.stringify(message)}`, () => {
      assert.deepEqual(parseToHost(message, state), { message });
    });
  }
});

describe('messages to the page', () => {
  it('are refused when they are none', () => {
    const { steps, ...incomplete } = states.plan;
    const [first] = steps;
    const messages = [
      undefined,
      {},
      { state: undefined },
      { state: incomplete },
      { state: { ...states.plan, html: '<b>' } },
      { state: { ...states.plan, steps: [{ ...first, status: 'finished' }] } },
      { state: { ...states.plan, steps: [{ ...first, id: 'data/app.db' }] } },
      { copied: { step: 'stop' } },
    ];
    for (const message of messages) assert.equal(parseToPage(message), undefined);
  });

  it('are refused when an id is there twice, because it would not say what was pressed', () => {
    const [notice] = states.interrupted.notices;
    const state = { ...states.interrupted, notices: [notice, { ...notice, id: 'another' }] };
    assert.equal(parseToPage({ state }), undefined);
  });

  for (const [stage, state] of Object.entries({ ...states, hostile: hostileState() })) {
    it(`carry every stage through JSON: ${stage}`, () => {
      assert.deepEqual(parseToPage(JSON.parse(JSON.stringify({ state }))), { state });
    });
  }
});

describe('what the page remembers', () => {
  it('is dropped when it is of another make', () => {
    for (const memory of [undefined, null, { open: 1 }, { open: {}, scrollTop: '1' }]) {
      assert.equal(parseMemory(memory), undefined);
    }
  });

  it('names the runbook', () => {
    const memory = { runbook: 'app-1', open: { 'stop-by-hand': true }, scrollTop: 40 };
    assert.deepEqual(parseMemory(memory), memory);
  });
});

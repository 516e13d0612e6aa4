import assert from 'node:assert/strict';
import { readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { parseSchedule, takesTurn } from '../../src/editor/protection/schedule.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const minuteMs = 60_000;

describe('the schedule of checkpoints', () => {
  const folder = useTempFolder();

  it('refuses what it does not understand, and what would never end', () => {
    for (const text of [
      ...['', 'every', 'every 0m', 'every 15', 'every 15 s', '15m', 'daily', 'daily 24:00'],
      ...['daily 12:60', 'every -5m', 'every 1.5h', 'always', '99999999m', '* * *', 'every m'],
      ...['61 * * * *', '* * * * * *', '0 0 31 2 *', 'a b c d e', '*/0 * * * *', '@reboot'],
    ])
      assert.equal(parseSchedule(text), undefined, text);
  });

  it('counts from one checkpoint to the next, or by the clock on the wall', () => {
    const at = new Date(2026, 5, 15, 12, 0).getTime();
    assert.equal(parseSchedule('every 15m')?.(at), at + 15 * minuteMs);
    assert.equal(parseSchedule('every 2h')?.(at), at + 120 * minuteMs);
    assert.equal(parseSchedule('daily 02:30')?.(at), new Date(2026, 5, 16, 2, 30).getTime());
    assert.equal(parseSchedule('daily 12:01')?.(at), at + minuteMs);
    assert.equal(parseSchedule('daily 12:00')?.(at), new Date(2026, 5, 16, 12, 0).getTime());
  });

  it('follows a cron pattern, also one that matches every minute', () => {
    const at = new Date(2026, 5, 15, 12, 0).getTime();
    assert.equal(parseSchedule('30 2 * * *')?.(at), new Date(2026, 5, 16, 2, 30).getTime());
    assert.equal(parseSchedule('*/20 9-17 * * 1-5')?.(at), at + 20 * minuteMs);
    assert.equal(parseSchedule('* * * * *')?.(at), at + minuteMs);
  });

  it('gives the turn to one of two windows, and once after a sleep', () => {
    const schedule = parseSchedule('every 15m');
    assert.ok(schedule);
    const at = Date.now();
    const both = (now: number): boolean[] => [
      takesTurn(folder('turns'), 'a', schedule, now),
      takesTurn(folder('turns'), 'a', schedule, now + 1),
    ];
    assert.deepEqual(both(at), [true, false]);
    assert.deepEqual(both(at + 14 * minuteMs), [false, false]);
    assert.deepEqual(both(at + 15 * minuteMs), [true, false]);
    // The machine slept for a day.
    const later = at + 24 * 60 * minuteMs;
    assert.deepEqual(both(later), [true, false]);
    // Another workspace has turns of its own.
    assert.equal(takesTurn(folder('turns'), 'b', schedule, later), true);
    // The clock went back by a day: nothing waits for a day.
    assert.deepEqual(both(at), [true, false]);
  });

  it('is taken up again after half a file, or a window that was killed in its turn', () => {
    const schedule = parseSchedule('every 1h');
    assert.ok(schedule);
    const now = Date.now();
    assert.equal(takesTurn(folder('turns'), 'a', schedule, now), true);
    writeFileSync(folder('turns/a.json'), '{"at":');
    const lock = folder('turns/a.lock');
    writeFileSync(lock, '1');
    assert.equal(takesTurn(folder('turns'), 'a', schedule, now), false);
    utimesSync(lock, new Date(now - 2 * minuteMs), new Date(now - 2 * minuteMs));
    assert.equal(takesTurn(folder('turns'), 'a', schedule, now), false);
    assert.equal(takesTurn(folder('turns'), 'a', schedule, now), true);
    assert.deepEqual(readdirSync(folder('turns')), ['a.json']);
  });
});

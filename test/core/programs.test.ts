import assert from 'node:assert/strict';
import { parseProcesses } from '../../src/core/holders/programs.ts';

describe('what macOS tells of programs', () => {
  it('is read by its columns, whatever a command line holds', () => {
    const found = parseProcesses(
      [
        '   17 Sat Nov 21 13:45:02 2026 python3 writer.py --at Sat Nov 21 13:45:02 2026',
        '12345 Sun Nov  1 01:02:03 2026 /usr/bin/node',
        'no line of a process',
        '',
      ].join('\n'),
    );
    assert.deepEqual([...found.keys()], [17, 12345]);
    assert.equal(found.get(17)?.command, 'python3 writer.py --at Sat Nov 21 13:45:02 2026');
    assert.equal(new Date(found.get(12345)?.startedAt ?? '').getSeconds(), 3);
  });

  it('is cut where a command line is long', () => {
    const [, one] = [...parseProcesses(`1 Sat Nov 21 13:45:02 2026 ${'x'.repeat(5000)}`)][0] ?? [];
    assert.equal(one?.command?.length, 201);
  });
});

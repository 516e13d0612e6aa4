/** A disk that hangs, as a network folder does whose server is gone: the driver of its file system is a process that stops. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { pause } from '../../src/core/pause.ts';
import { isLinuxRoot, needProgram } from './processes.ts';

export interface HangingDisk {
  /** Shows the folder `real` at `at`, instead of what it showed before. */
  mount: (real: string, at: string, ...options: string[]) => void;
  /** From now on, whatever asks the disk waits until `goOn`. */
  hang: () => void;
  goOn: () => void;
  /** The driver's process; 0 while nothing is mounted. */
  pid: () => number;
}

/** Skips the suite where mounts are not allowed. Call it before `useTempFolder`, so that the disk goes before its folder. */
export function useHangingDisk(): HangingDisk {
  let [driver, mounted] = [0, ''];

  before(function () {
    if (!isLinuxRoot) this.skip(); // Only root on Linux may mount.
    needProgram('bindfs', 'bindfs');
  });
  afterEach(unmount);

  function unmount(): void {
    if (driver === 0) return;
    goOn();
    execFileSync('umount', ['-l', mounted]);
    driver = 0;
  }

  function goOn(): void {
    process.kill(driver, 'SIGCONT');
  }

  return {
    mount(real, at, ...options) {
      unmount();
      const before = statSync(at).dev;
      const always = ['-f', '--multithreaded', '--no-allow-other'];
      const args = [...always, ...options, real, at];
      [driver, mounted] = [spawn('bindfs', args, { stdio: 'ignore' }).pid ?? 0, at];
      const until = performance.now() + 30_000;
      while (statSync(at).dev === before) {
        assert.ok(performance.now() < until, 'bindfs shows nothing');
        pause(5);
      }
    },
    hang() {
      process.kill(driver, 'SIGSTOP');
      // Until then, one of its threads may still answer.
      const threads = `/proc/${driver}/task`;
      const isStopped = (thread: string): boolean =>
        readFileSync(`${threads}/${thread}/stat`, 'utf8').includes(') T');
      while (!readdirSync(threads).every(isStopped)) pause(1);
    },
    goOn,
    pid: () => driver,
  };
}

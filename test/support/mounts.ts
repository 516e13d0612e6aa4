/** Mounts that are gone after each test. Only root on Linux may mount. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { needProgram } from './processes.ts';

export interface Mounts {
  /** Mounts at `at`, which is made where it is missing, with these options of `mount`. Returns `at`. */
  mount: (at: string, ...options: string[]) => string;
  /** A file system without hard links, in the file `image`. */
  mountExfat: (image: string, at: string) => string;
  /** A file system whose files can share blocks, in the file `image`. */
  mountWithClones: (kind: 'xfs' | 'btrfs', image: string, at: string) => string;
  /** For what another program has mounted. */
  add: (at: string) => void;
  unmount: (at: string) => void;
}

/** Call it before `useTempFolder`, so that the mounts go before their folders. */
export function useMounts(): Mounts {
  const mounted: string[] = [];
  const loops: string[] = [];
  afterEach(() => {
    for (const path of mounted.splice(0).reverse()) execFileSync('umount', ['-l', path]);
    for (const device of loops.splice(0)) execFileSync('losetup', ['-d', device]);
  });

  const mount = (at: string, ...options: string[]): string => {
    mkdirSync(at, { recursive: true });
    execFileSync('mount', [...options, at]);
    mounted.push(at);
    return at;
  };

  const format = (image: string, sizeBytes: number, ...command: string[]): void => {
    writeFileSync(image, '');
    truncateSync(image, sizeBytes);
    const [program = '', ...args] = command;
    execFileSync(program, [...args, image], { stdio: 'ignore' });
  };

  return {
    mount,
    mountExfat(image, at) {
      needProgram('mkfs.exfat', 'exfatprogs');
      needProgram('mount.exfat-fuse', 'exfat-fuse');
      format(image, 16 * 1024 * 1024, 'mkfs.exfat');
      const loop = ['-f', '--show', image];
      const device = execFileSync('losetup', loop, { encoding: 'utf8' }).trim();
      loops.push(device);
      mkdirSync(at, { recursive: true });
      execFileSync('mount.exfat-fuse', [device, at], { stdio: 'ignore' });
      mounted.push(at);
      return at;
    },
    mountWithClones(kind, image, at) {
      needProgram(`mkfs.${kind}`, kind === 'xfs' ? 'xfsprogs' : 'btrfs-progs');
      format(image, 400e6, `mkfs.${kind}`, '-q', '-f');
      return mount(at, '-o', 'loop', image);
    },
    add: (at) => void mounted.push(at),
    unmount(at) {
      execFileSync('umount', [at]);
      mounted.splice(mounted.indexOf(at), 1);
    },
  };
}

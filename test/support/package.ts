// Packs the extension: node test/support/package.ts [--target=<vsce target>]
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { createVSIX } from '@vscode/vsce';
import manifest from '../../package.json' with { type: 'json' };

const ROOT = resolve(import.meta.dirname, '../..');
const INPUTS = [
  ...['package.json', 'package.nls*.json', 'README.md', 'CHANGELOG.md', 'LICENSE', '.vscodeignore'],
  ...['esbuild.mjs', 'notices.mjs', 'tsconfig.json', 'src', 'media', 'l10n', 'agent-plugin'],
];

/** Builds for production and packs; returns the path of the `.vsix`, at the root of the project. */
export async function packageExtension(target = hostTarget()): Promise<string> {
  // Built from a copy: the development build in dist/ stays what it is.
  mkdirSync(join(ROOT, 'out'), { recursive: true });
  const staging = mkdtempSync(join(ROOT, 'out/package-'));
  try {
    for (const input of globSync(INPUTS, { cwd: ROOT })) {
      cpSync(join(ROOT, input), join(staging, input), { recursive: true });
    }
    symlinkSync(join(ROOT, 'node_modules'), join(staging, 'node_modules'), 'junction');
    execFileSync(process.execPath, ['esbuild.mjs', '--production', `--target=${target}`], {
      cwd: staging,
      stdio: 'inherit',
    });

    const packed = join(staging, 'packed.vsix');
    await createVSIX({
      cwd: staging,
      packagePath: packed,
      target,
      dependencies: false,
      // Relative links of the README become web addresses, once the manifest says of which repository.
      allowMissingRepository: true,
      rewriteRelativeLinks: 'repository' in manifest,
    });
    // A reader of the last package, which may be installing it, must not see half of this one.
    renameSync(packed, packagePath(target));
    return packagePath(target);
  } finally {
    rmSync(staging, { recursive: true });
  }
}

/** Where the package of a target is, once it is made. */
export function packagePath(target = hostTarget()): string {
  return join(ROOT, `sqlite-backup-${target}.vsix`);
}

/** Marketplace targets are called like Node's platforms, but for Linux with musl. */
function hostTarget(): string {
  const isMusl = process.platform === 'linux' && existsSync('/etc/alpine-release');
  return `${isMusl ? 'alpine' : process.platform}-${process.arch}`;
}

if (process.argv[1] === import.meta.filename) {
  const prefix = '--target=';
  const target = process.argv.find((argument) => argument.startsWith(prefix));
  const path = await packageExtension(target?.slice(prefix.length));
  console.log(`${path}: ${(statSync(path).size / 1024 ** 2).toFixed(2)} MB`);
}

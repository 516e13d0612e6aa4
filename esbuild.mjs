// Bundles what ships (dist/) and, with --tests, the suites that run inside VS Code (out/).
//   node esbuild.mjs [--target=<vsce target>] [--production] [--tests] [--watch]
//   node esbuild.mjs --page=<folder>    only the scripts of the pages, as they ship
//   node esbuild.mjs --command-line=<folder>   the command line alone, which loads the SQLite of any platform
//   node esbuild.mjs --processes        what tests start as processes (out/product, out/fixtures): a bundle starts in a
//                                       fraction of the time that the sources take
import { build, context } from 'esbuild';
import { globSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { noticesOf } from './notices.mjs';

const flags = new Set(process.argv.slice(2));
const target = process.argv.find((flag) => flag.startsWith('--target='))?.slice('--target='.length);
const pageFolder = process.argv.find((flag) => flag.startsWith('--page='))?.slice('--page='.length);
const commandLineFolder = process.argv
  .find((flag) => flag.startsWith('--command-line='))
  ?.slice('--command-line='.length);
const production =
  flags.has('--production') || pageFolder !== undefined || commandLineFolder !== undefined;

/** The prebuilt SQLite of a vsce target: vsce says "alpine" where the driver says "linuxmusl". */
const prebuild = (target ?? `${process.platform}-${process.arch}`).replace('alpine', 'linuxmusl');

/** Gives the worker the driver's entry for exactly one platform, so that one binary ships. */
const onePlatformDriver = {
  name: 'one-platform-driver',
  setup({ onResolve, resolve }) {
    onResolve({ filter: /^better-sqlite3$/ }, ({ resolveDir, kind }) =>
      resolve(`better-sqlite3/${prebuild}`, { resolveDir, kind }),
    );
  },
};

/** The rule that only the worker opens databases, as a build error. */
const noDriver = {
  name: 'no-driver',
  setup({ onResolve }) {
    onResolve({ filter: /^better-sqlite3/ }, ({ importer }) => ({
      errors: [
        { text: `${importer} must not import better-sqlite3: only the worker opens databases` },
      ],
    }));
  },
};

/**
 * Each file gets its name when it is whole. A process that has the file of a native library mapped ends with SIGSEGV or
 * SIGBUS when another build writes over it.
 */
const wholeFiles = {
  name: 'whole-files',
  setup({ onEnd }) {
    onEnd(({ outputFiles = [] }) => {
      for (const { path, contents } of outputFiles) {
        mkdirSync(dirname(path), { recursive: true });
        const scratch = `${path}.${process.pid}`;
        writeFileSync(scratch, contents);
        renameSync(scratch, path);
      }
    });
  },
};

const shared = {
  bundle: true,
  write: false,
  plugins: [wholeFiles],
  platform: 'node',
  target: 'node22',
  logLevel: 'warning',
  minify: production,
  sourcemap: production ? false : 'linked',
};

const page = {
  ...shared,
  entryPoints: { runbook: 'src/runbook/page/main.ts', look: 'src/runbook/page/look/main.ts' },
  outdir: pageFolder ?? 'dist',
  format: 'iife',
  platform: 'browser',
  target: 'chrome134',
};

const bundles = [
  page,
  {
    ...shared,
    entryPoints: { extension: 'src/extension.ts' },
    outdir: 'dist',
    outExtension: { '.js': '.cjs' },
    format: 'cjs',
    external: ['vscode'],
    plugins: [noDriver, wholeFiles],
  },
  {
    ...shared,
    entryPoints: { worker: 'src/worker/main.ts', helper: 'src/worker/helper.ts' },
    outdir: 'dist',
    outExtension: { '.js': '.cjs' },
    format: 'cjs',
    loader: { '.node': 'copy' },
    assetNames: '[name]',
    plugins: [onePlatformDriver, wholeFiles],
  },
  {
    ...shared,
    entryPoints: { cli: 'src/cli/main.ts' },
    outdir: 'dist',
    format: 'esm',
    plugins: [noDriver, wholeFiles],
  },
  {
    ...shared,
    // The verb `mcp` loads it, so that no other verb waits for the SDK.
    entryPoints: { mcp: 'src/agents/mcpServer.ts' },
    outdir: 'dist',
    format: 'esm',
    plugins: [noDriver, wholeFiles],
  },
];

if (flags.has('--tests')) {
  // A bundle of a test that is gone would still run.
  rmSync('out/extension', { recursive: true, force: true });
  bundles.push({
    ...shared,
    entryPoints: globSync('test/extension/*.ts'),
    outdir: 'out/extension',
    outExtension: { '.js': '.cjs' },
    format: 'cjs',
    // As deep below the root as test/support, whose paths it stands for.
    define: { 'import.meta.dirname': '__dirname' },
    sourcemap: 'inline',
    external: ['vscode', 'mocha', 'better-sqlite3'],
  });
}

function commandLineParts(outdir) {
  return bundles
    .filter(
      ({ entryPoints }) => 'worker' in entryPoints || 'cli' in entryPoints || 'mcp' in entryPoints,
    )
    .map((options) => ({ ...options, outdir }));
}

/** Builds all of them, with the licences of what they contain. */
async function buildShipped(parts, outdir) {
  const results = await Promise.all(
    parts.map((options) => build({ ...options, metafile: options.outdir === outdir })),
  );
  const metafiles = results.flatMap(({ metafile }) => metafile ?? []);
  writeFileSync(join(outdir, 'third-party-notices.txt'), noticesOf(metafiles));
}

if (pageFolder !== undefined) {
  await build(page);
} else if (commandLineFolder !== undefined) {
  // Without the plugin that picks one platform: npm installs the driver, which picks.
  const parts = commandLineParts(commandLineFolder).map((options) =>
    'worker' in options.entryPoints
      ? { ...options, plugins: [wholeFiles], external: ['better-sqlite3'] }
      : options,
  );
  await buildShipped(parts, commandLineFolder);
} else if (flags.has('--processes')) {
  const product = commandLineParts('out/product');
  const fixtures = {
    ...shared,
    entryPoints: globSync('test/fixtures/*.ts'),
    outdir: 'out/fixtures',
    format: 'esm',
    packages: 'external',
  };
  // The fixture that stands for a worker has it beside it, too.
  const helpers = product
    .filter(({ entryPoints }) => 'helper' in entryPoints)
    .map((options) => ({
      ...options,
      entryPoints: { helper: options.entryPoints.helper },
      outdir: 'out/fixtures',
    }));
  await Promise.all([...product, fixtures, ...helpers].map((options) => build(options)));
} else if (flags.has('--watch')) {
  // The task "watch" of the editor waits for the lines that this level prints.
  const watched = bundles.map((options) => context({ ...options, logLevel: 'info' }));
  await Promise.all(watched.map(async (one) => (await one).watch()));
} else {
  rmSync('dist', { recursive: true, force: true });
  await buildShipped(bundles, 'dist');
}

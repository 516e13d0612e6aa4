/** Runs `action` with a data folder below `folder`, as if the user had chosen that. */
export function withDataFolder<T>(folder: string, action: () => T): T {
  const before = process.env['XDG_DATA_HOME'];
  process.env['XDG_DATA_HOME'] = folder;
  try {
    return action();
  } finally {
    process.env['XDG_DATA_HOME'] = before;
  }
}

/** Gives each test of the surrounding suite the data folder below the path that `folder` tells. */
export function useDataFolder(folder: () => string): void {
  let before: string | undefined;
  beforeEach(() => {
    before = process.env['XDG_DATA_HOME'];
    process.env['XDG_DATA_HOME'] = folder();
  });
  afterEach(() => {
    process.env['XDG_DATA_HOME'] = before;
  });
}

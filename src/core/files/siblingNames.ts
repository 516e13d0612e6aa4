/** What SQLite keeps beside a database. */
export const siblingSuffixes = ['-wal', '-shm', '-journal'] as const;

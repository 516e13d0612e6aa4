import { defaultBusyTimeoutMs } from '../backupJobs.ts';
import type { Settings } from '../settings.ts';

/** What the settings say of each checkpoint, whatever it is taken for. */
export interface Taking {
  busyTimeoutMs: number;
  /** The folder, where it is not that of the data folder. */
  checkpoints?: string;
  largestBytes: number;
  largestTotalBytes: number;
  toolVersion: string;
}

export function takingFor(settings: Settings, toolVersion: string): Taking {
  const { folder, largestTotalBytes } = settings.protection();
  return {
    ...{ largestTotalBytes, toolVersion, busyTimeoutMs: defaultBusyTimeoutMs },
    ...(folder !== undefined && { checkpoints: folder }),
    largestBytes: settings.largestCheckpointBytes(),
  };
}

/**
 * Asks the Restart Manager of Windows who has files open. PowerShell 5.1; the paths come line by line in the environment
 * variable SQLITE_BACKUP_FILES, so none is ever part of the script. Prints `<pid> <name>` for each process.
 * https://learn.microsoft.com/windows/win32/rstmgr/restart-manager-portal
 */
export const restartManagerScript = `
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
[Console]::OutputEncoding = [System.Text.Encoding]::UTF8
Add-Type -TypeDefinition @'
using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using System.Runtime.InteropServices.ComTypes;

public static class OpenFiles
{
    [StructLayout(LayoutKind.Sequential)]
    struct RM_UNIQUE_PROCESS { public int dwProcessId; public FILETIME ProcessStartTime; }

    [StructLayout(LayoutKind.Sequential, CharSet = CharSet.Unicode)]
    struct RM_PROCESS_INFO
    {
        public RM_UNIQUE_PROCESS Process;
        [MarshalAs(UnmanagedType.ByValTStr, SizeConst = 256)] public string strAppName;
        [MarshalAs(UnmanagedType.ByValTStr, SizeConst = 64)] public string strServiceShortName;
        public int ApplicationType;
        public uint AppStatus;
        public uint TSSessionId;
        [MarshalAs(UnmanagedType.Bool)] public bool bRestartable;
    }

    [DllImport("rstrtmgr.dll", CharSet = CharSet.Unicode)]
    static extern int RmStartSession(out uint session, int flags, System.Text.StringBuilder key);
    [DllImport("rstrtmgr.dll", CharSet = CharSet.Unicode)]
    static extern int RmRegisterResources(uint session, uint files, string[] names,
        uint applications, IntPtr processes, uint services, string[] serviceNames);
    [DllImport("rstrtmgr.dll")]
    static extern int RmGetList(uint session, out uint needed, ref uint count,
        [In, Out] RM_PROCESS_INFO[] infos, out uint rebootReasons);
    [DllImport("rstrtmgr.dll")]
    static extern int RmEndSession(uint session);

    const int MoreData = 234;

    public static List<KeyValuePair<int, string>> Holders(string[] paths)
    {
        uint session;
        var key = new System.Text.StringBuilder(33);
        Check(RmStartSession(out session, 0, key));
        try
        {
            Check(RmRegisterResources(session, (uint)paths.Length, paths, 0, IntPtr.Zero, 0, null));
            uint needed = 0, count = 0, reasons;
            RM_PROCESS_INFO[] infos = null;
            int result = RmGetList(session, out needed, ref count, infos, out reasons);
            // Processes may start between two calls.
            for (int tries = 0; result == MoreData && tries < 10; tries++)
            {
                count = needed + 8;
                infos = new RM_PROCESS_INFO[count];
                result = RmGetList(session, out needed, ref count, infos, out reasons);
            }
            Check(result);
            var found = new List<KeyValuePair<int, string>>();
            for (int i = 0; i < count; i++)
                found.Add(new KeyValuePair<int, string>(infos[i].Process.dwProcessId, infos[i].strAppName));
            return found;
        }
        finally { RmEndSession(session); }
    }

    static void Check(int code)
    {
        if (code != 0) throw new System.ComponentModel.Win32Exception(code);
    }
}
'@
$paths = [string[]]($env:SQLITE_BACKUP_FILES -split [char]10 | Where-Object { $_ -ne '' })
foreach ($holder in [OpenFiles]::Holders($paths)) {
  $process = Get-Process -Id $holder.Key -ErrorAction SilentlyContinue
  $name = if ($process) { $process.ProcessName } else { $holder.Value }
  [Console]::Out.WriteLine(('{0} {1}' -f $holder.Key, $name))
}
`;

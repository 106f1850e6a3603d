/**
 * The addresses that YouTrack Cloud sends from, as JetBrains lists them under "YouTrack Cloud Instance IP Ranges":
 * https://www.jetbrains.com/help/youtrack/cloud/youtrack-cloud-instance-ip-ranges.html
 * They come as a page for people, so they are copied here and dated; a newer list is a change of this file.
 */
export const youtrackCloud = {
  as_of: "2026-11-20",
  ranges: [
    ["18.136.1.10", "54.151.252.233", "18.136.1.100"], // Singapore
    ["3.124.229.157", "3.78.179.251", "63.182.38.251"], // Frankfurt
    ["18.201.1.131", "52.49.179.146", "18.201.1.132"], // Ireland
    ["13.52.4.167", "18.144.113.25", "13.52.4.166"], // Northern California
  ].flat(),
};

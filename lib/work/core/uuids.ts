/** The nil and the max UUID of RFC 9562: before and after all others, and nobody's. */
export const NIL_UUID = "00000000-0000-0000-0000-000000000000";
export const MAX_UUID = "ffffffff-ffff-ffff-ffff-ffffffffffff";

package thread

const sysSetns = 268

package thread

const sysSetns = 308

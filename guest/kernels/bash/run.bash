# Runs the code of a request. A file that is read by `.` is not interactive: it announces no jobs and minds no terminal.
# The braces make it one command: where that is given up, all of it is.
eval "{ __cofferdam_resume
$__cofferdam_code
}"

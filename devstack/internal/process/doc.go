// Package process starts programs that end when the launcher ends, even if it is
// killed.
//
// There are two kinds. An embedded server is this same executable in another
// role: it holds the reading end of a pipe, its lifeline, and exits when the
// pipe closes. A foreign program (a broker, a database, the user's command)
// has no lifeline, so a keeper runs it: a small process, again this
// executable, that holds the lifeline, is the program's parent and, on Linux,
// the parent of every orphan below it. When the program ends or the lifeline
// closes, the keeper kills the remaining descendants and exits with the
// program's code.
//
// The launcher signals a keeper as it would the program: the keeper passes
// SIGINT, SIGTERM and SIGHUP on. A SIGKILL to the launcher closes every
// lifeline, because the kernel closes its descriptors.
//
// On Linux every process carries a mark in its environment, and Sweep kills
// the processes that still carry it, for the case that a keeper was killed.
// Elsewhere process groups and the tree of parents must suffice; a program that
// leaves both (a daemon) must be started in the foreground by its caller.
//
// The package imports the standard library and golang.org/x/sys only.
package process

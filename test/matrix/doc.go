// Package matrix kills, pauses, resets and terminates order sagas between any two of their effects, and checks that
// every order ends correctly. It holds tests only; it may import every package of the service.
//
// # What runs
//
// The real workers, workflows and activities against a real Temporal server, because the SDK's test environment never
// replays a workflow and knows neither kills nor resets. Everything else is in memory: the event log, the stock
// ledger and the payment simulator on it, the bus. The log outlives a kill, as a database does.
//
// An environment is a namespace with its own workers. A process simulates a process of the service: a Temporal client with
// workers, a ledger, a simulator and handles to log and bus. A kill cuts all handles of a process at one exact call:
// nothing that it does later has an effect, and nothing that it sends reaches the server. Another process continues. A
// pause does the same, but the running attempt continues after the order has ended: its late requests are tested, too.
//
// # The matrix
//
// Cells are generated from the steps of the sagas: each step, at each point, with each fault (cells_test.go), inside its
// workflow task and as the regular activity that takes over (mode_test.go). A step without cells fails a test, and so does
// a cell whose fault does not fire at its point, or in an activity of the other kind. ORDERSAGA_WHOLE_MATRIX=1 runs all
// of them. Without it a sample runs, another one each time: in it every fault is injected at every point of every stage, and
// meets every stage in every world. ORDERSAGA_SAMPLE=<number> runs the same sample again.
package matrix

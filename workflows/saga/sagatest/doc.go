// Package sagatest tests flows without a server.
//
// Definition checks what a table promises: that it is complete, that its hooks are pure, that its states survive JSON, that its events
// are in the catalog. Model runs random sagas of a flow through lost answers, late and repeated attempts, crashes, facts, cancellations,
// deadlines and decisions of people, and checks what must hold for every saga. Both take the Start of the flow: how its sagas begin, and
// what its participants say.
//
// Matrix runs the flow's real workflow, activities and step functions, and strikes each of their operations at each point with each fault. It
// takes Cells: the ways that sagas go, and a world with participants in memory that says what must hold. Histories replays recorded
// histories, which Record records on a Temporal server.
//
//	func TestFlow(t *testing.T) {
//		sagatest.Definition(t, &Flow, start)
//		sagatest.Model(t, &Flow, start)
//		sagatest.Matrix(t, cells)
//		sagatest.Histories(t, "testdata/histories", &Flow)
//	}
//
// A flow of another module is tested in the same way: what the package exports has no types of internal packages.
//
// ExtendTimeouts makes Temporal's test environment wait for slow machines.
//
// # Contract
//
//   - Only tests import it. It imports workflows/saga, activities, event, the log in memory, rapid and the Temporal SDK.
//   - Definition and Model start no goroutine, and neither wait nor read a clock. Hooks of a Start are called on the goroutine of the test.
//   - Matrix needs no server, reads no clock and leaves no goroutine. Hooks of a World are called from several goroutines, except NewWorld.
//   - rapid prints the seed of a saga that fails, and its smallest form; -rapid.seed runs it again.
package sagatest

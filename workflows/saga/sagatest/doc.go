// Package sagatest tests flows without a server.
//
// Definition checks what a table promises: that it is complete, that its hooks are pure, that its states survive JSON, that its events
// are in the catalog. Model runs random sagas of a flow through lost answers, late and repeated attempts, crashes, facts, cancellations,
// deadlines and decisions of people, and checks what must hold for every saga. Both take the Start of the flow: how its sagas begin, and
// what its participants say.
//
//	func TestFlow(t *testing.T) {
//		sagatest.Definition(t, &Flow, start)
//		sagatest.Model(t, &Flow, start)
//	}
//
// BePatient makes Temporal's test environment wait for slow machines.
//
// # Contract
//
//   - Only tests import it. It imports workflows/saga, event, rapid and the Temporal SDK.
//   - Definition and Model start no goroutine, and neither wait nor read a clock. Hooks of a Start are called on the goroutine of the test.
//   - rapid prints the seed of a saga that fails, and its smallest form; -rapid.seed runs it again.
package sagatest

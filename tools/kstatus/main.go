// Says of the objects on standard input (a JSON document each) what kstatus says of them, as Flux and others
// do that wait for health: a line each, `namespace/name status message`.
// https://pkg.go.dev/sigs.k8s.io/cli-utils/pkg/kstatus
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "kstatus:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	documents := json.NewDecoder(in)
	for {
		var document json.RawMessage
		if err := documents.Decode(&document); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		var object unstructured.Unstructured
		if err := object.UnmarshalJSON(document); err != nil {
			return err
		}
		if err := tell(&object, out); err != nil {
			return err
		}
	}
}

func tell(object *unstructured.Unstructured, out io.Writer) error {
	result, err := status.Compute(object)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s/%s %s %s\n", object.GetNamespace(), object.GetName(), result.Status, result.Message)
	return err
}

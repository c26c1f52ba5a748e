# SPDX-License-Identifier: Apache-2.0
import pytest

from holdfast import errors
from holdfast.cli.template import Template

VALUE = {
    "Name": "web",
    "State": {"Running": True, "ExitCode": 0},
    "Args": ["a", "b"],
    "Ports": {"80/tcp": [{"HostPort": "8080"}], "53/udp": None},
    "Empty": None,
}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("{{.Name}}", "web"),
        ("{{ .State.Running }}/{{.State.ExitCode}}", "true/0"),
        ("{{.Args}}", "[a b]"),
        ("{{json .Args}}", '["a","b"]'),
        ('{{.Name | upper | printf "%s!"}}', "WEB!"),
        ("{{range .Args}}<{{.}}>{{end}}", "<a><b>"),
        ("{{range $i, $a := .Args}}{{$i}}={{$a}} {{end}}", "0=a 1=b "),
        (
            "{{range $p, $b := .Ports}}{{$p}}->{{if $b}}{{(index $b 0).HostPort}}{{else}}none{{end}} {{end}}",
            "53/udp->none 80/tcp->8080 ",
        ),
        ("{{if .Empty}}x{{else if .Name}}y{{else}}z{{end}}", "y"),
        ("{{with .State}}{{.Running}}{{end}}", "true"),
        ("{{index .Args 1}}", "b"),
        ("{{len .Args}}", "2"),
        ('{{join .Args ","}}', "a,b"),
        ('{{index .Ports "80/tcp" 0}}', "map[HostPort:8080]"),
        ('{{if and (eq .Name "web") (not .Empty)}}yes{{end}}', "yes"),
        ("a {{- .Name -}} b", "awebb"),
        ("{{/* nothing */}}{{$x := .Name}}{{$x}}", "web"),
        ("{{println .Name}}", "web\n"),
        ("{{.Empty}}", "<no value>"),
        ("x\\ty", "x\ty"),
    ],
)
def test_templates_render_as_gos_do(text: str, shown: str) -> None:
    assert Template(text).render(VALUE) == shown


@pytest.mark.parametrize(
    "text",
    ["{{.Name", "{{if .Name}}x", "{{end}}", "{{nope .Name}}", "{{.Nope}}", "{{$x}}", "{{index .Args 9}}", "{{range}}"],
)
def test_a_wrong_template_is_a_clear_error(text: str) -> None:
    with pytest.raises(errors.InvalidArgument):
        Template(text).render(VALUE)


def test_an_unknown_column_names_the_type_as_docker_does() -> None:
    with pytest.raises(errors.InvalidArgument) as caught:
        Template("{{.Nope}}").render({"ID": "x"}, kind="*formatter.ContainerContext")

    assert "can't evaluate field Nope in type *formatter.ContainerContext" in caught.value.message

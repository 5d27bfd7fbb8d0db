"""Values against Python's own arithmetic, gradients against differences."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from mlsem.errors import Span, SpecificationError
from mlsem.model.defaults import specify
from mlsem.model.expressions import (
    Symbols,
    compile_constraints,
    compile_definitions,
    compile_expression,
)
from mlsem.syntax.nodes import Binary, Call, Name, Negation, Number
from mlsem.syntax.parse import parse

HERE = Span(0, 1)
LABELS = ("a", "b", "c")
SYMBOLS = Symbols({"a": 1, "b": 3, "c": 0}, {"k": 2.5}, {}, 5)


def table_of(*lines):
    return specify(parse("\n".join(["y ~ a*x1 + b*x2 + c*x3", *lines])))


def constraint(source):
    (compiled,) = compile_constraints(table_of(source))
    return compiled


def definition(source):
    return last_definition(table_of(f"d := {source}"))


def last_definition(table):
    return compile_expression(table.definitions[-1].expression, Symbols.of(table))


names = st.sampled_from([*LABELS, "k"]).map(lambda name: Name(name, HERE))
numbers = st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.0]).map(lambda value: Number(value, HERE))


def combine(inner):
    return st.one_of(
        inner.map(lambda node: Negation(node, HERE)),
        st.tuples(st.sampled_from("+-*/^"), inner, inner).map(lambda t: Binary(*t, HERE)),
        st.tuples(st.sampled_from(["exp", "log", "sqrt", "abs"]), inner).map(
            lambda t: Call(*t, HERE)
        ),
    )


expressions = st.recursive(names | numbers, combine, max_leaves=8)
# Points in general position: no difference of two parameters is nearly 0, nor a parameter itself.
points = st.lists(st.integers(-30, 30), min_size=5, max_size=5).map(
    lambda steps: (np.array(steps) + np.array([0.31, 0.43, 0.59, 0.67, 0.79])) / 20
)
tried = settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.filter_too_much]
)


def plain(node, params):
    """The value by Python's floats; ArithmeticError or ValueError outside the domain."""
    match node:
        case Number():
            return node.value
        case Name():
            return 2.5 if node.name == "k" else float(params[SYMBOLS.positions[node.name]])
        case Negation():
            return -plain(node.operand, params)
        case Call():
            function = abs if node.function == "abs" else getattr(math, node.function)
            return function(plain(node.argument, params))
    left, right = plain(node.left, params), plain(node.right, params)
    match node.operator:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/":
            return left / right
    return math.pow(left, right)


@tried
@given(expressions, points)
def test_value_is_that_of_plain_arithmetic(node, params):
    compiled = compile_expression(node, SYMBOLS)
    try:
        expected = plain(node, params)
    except (ArithmeticError, ValueError):
        assume(False)
        return
    assert compiled.value(params) == pytest.approx(expected, rel=1e-12, nan_ok=True)
    assert compiled.value(params + 0j) == pytest.approx(expected, rel=1e-9, nan_ok=True)


@tried
@given(expressions, points)
def test_gradient_is_that_of_differences(node, params):
    compiled = compile_expression(node, SYMBOLS)
    value, gradient = compiled.value(params), compiled.gradient(params)
    assume(np.isfinite(value) and abs(value) < 1e4 and np.all(np.abs(gradient) < 1e4))
    steps = [h * np.eye(5) for h in (1e-6, 2e-6)]
    slopes = [
        np.array([(compiled.value(params + e) - compiled.value(params - e)) for e in step])
        / (2 * step[0, 0])
        for step in steps
    ]
    assume(np.all(np.isfinite(slopes)))
    # Near a pole the two differences disagree, and say nothing.
    assume(np.allclose(*slopes, rtol=1e-5, atol=1e-5))
    np.testing.assert_allclose(gradient, slopes[0], rtol=1e-3, atol=1e-3)


@tried
@given(expressions, points)
def test_complex_step_gives_the_same_derivative(node, params):
    compiled = compile_expression(node, SYMBOLS)
    gradient = compiled.gradient(params)
    assume(np.all(np.isfinite(gradient)) and np.all(np.abs(gradient) < 1e8))
    assume(abs(compiled.value(params)) < 1e8)
    h = 1e-25
    steps = [compiled.value(params + 1j * h * unit) for unit in np.eye(5)]
    assume(np.all(np.isfinite(steps)))
    np.testing.assert_allclose([step.imag / h for step in steps], gradient, rtol=1e-6, atol=1e-6)


@tried
@given(expressions, points)
def test_a_linear_form_is_the_expression(node, params):
    compiled = compile_expression(node, SYMBOLS)
    form = compiled.linear_form()
    assume(form is not None)
    row, constant = form
    assume(np.isfinite(constant) and np.all(np.isfinite(row)))
    assert row @ params + constant == pytest.approx(compiled.value(params), rel=1e-9, abs=1e-9)
    np.testing.assert_allclose(row, compiled.gradient(params), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("source", "row", "constant"),
    [
        ("a + b == 1", [1, 1, 0], -1),
        ("a == b", [1, -1, 0], 0),
        ("a == 2*b", [1, -2, 0], 0),
        ("a/2 - (b*3 - c)/4 == -(a)", [1.5, -0.75, 0.25], 0),
        ("a*2^3 == exp(0)", [8, 0, 0], -1),
        ("a + b > c", [1, 1, -1], 0),
        ("a < b + 1", [-1, 1, 0], 1),
        ("a^1 == sqrt(4)*c", [1, 0, -2], 0),
        ("(a + 1)*0 == b", [0, -1, 0], 0),
    ],
)
def test_linear_constraints(source, row, constant):
    form = constraint(source).linear_form()
    assert form is not None
    np.testing.assert_array_equal(form[0], [*row, 0])
    assert form[1] == constant


@pytest.mark.parametrize("source", ["a*b == 1", "a^2 == 1", "a/b == 2", "exp(a) > b", "2^a == b"])
def test_nonlinear_constraints(source):
    compiled = constraint(source)
    assert compiled.linear_form() is None
    assert compiled.linear_form() is None


def test_definitions_are_seen_through():
    table = table_of("d := a - b", "e := 2*d", "e == 4", "d > c")
    first, second = compile_constraints(table)
    assert first.linear_form()[0].tolist() == [2, -2, 0, 0]
    assert second.linear_form()[0].tolist() == [1, -1, -1, 0]
    values, gradients = compile_definitions(table)(np.array([3.0, 1, 0, 0]))
    assert values.tolist() == [2, 4]
    assert gradients.tolist() == [[1, -1, 0, 0], [2, -2, 0, 0]]


def test_a_definition_used_often_is_computed_once():
    lines = ["d0 := a + 1", *(f"d{i} := d{i - 1}*d{i - 1}" for i in range(1, 30))]
    table = table_of(*lines)
    assert len(compile_definitions(table).steps) < 100
    compiled = last_definition(table)
    assert len(compiled.steps) < 100
    assert compiled.value(np.zeros(4)) == 1
    assert compiled.gradient(np.zeros(4))[0] == 2.0**29


def test_a_chain_of_definitions_may_be_long():
    links = [f"d{i} := d{i - 1} + {i % 3}*a" for i in range(1, 1500)]
    table = table_of("d0 := b", *links, "d1499 == c")
    params = np.array([0.5, 1, 2, 0])
    values, gradients = compile_definitions(table)(params)
    assert values[-1] == 1 + 0.5 * sum(i % 3 for i in range(1, 1500))
    assert gradients[-1].tolist() == [sum(i % 3 for i in range(1, 1500)), 1, 0, 0]
    (compiled,) = compile_constraints(table)
    assert compiled.value(params) == values[-1] - 2


def test_definitions_of_numbers_alone():
    table = table_of("one := 1", "two := one + one", "e := two*a")
    values, gradients = compile_definitions(table)(np.array([3.0, 0, 0, 0]))
    assert values.tolist() == [1, 2, 6]
    assert gradients.tolist() == [[0] * 4, [0] * 4, [2, 0, 0, 0]]


def test_fixed_labels_are_constants():
    table = specify(parse("f =~ l*y1 + a*y2 + y3\nd := a/l"))
    compiled = last_definition(table)
    assert compiled.linear_form() is not None
    np.testing.assert_array_equal(compiled.gradient(np.ones(len(table.names))), np.eye(6)[0])


@pytest.mark.parametrize(
    ("source", "params", "expected"),
    [
        ("1/a", [0, 0, 0, 1], math.inf),
        ("a/b", [0, 0, 0, 1], math.nan),
        ("log(a)", [-1, 0, 0, 1], math.nan),
        ("log(a)", [0, 0, 0, 1], -math.inf),
        ("sqrt(a)", [-1, 0, 0, 1], math.nan),
        ("a^0.5", [-1, 0, 0, 1], math.nan),
        ("exp(a)", [1e4, 0, 0, 1], math.inf),
    ],
)
def test_outside_the_domain_without_a_word(source, params, expected):
    compiled = definition(source)
    assert compiled.value(np.array(params)) == pytest.approx(expected, nan_ok=True)
    compiled.gradient(np.array(params))
    assert not np.isfinite(compiled.value(np.array(params, dtype=complex)))
    compiled.gradient(np.array(params, dtype=complex))


def test_an_infinite_derivative_stays_where_it_belongs():
    np.testing.assert_array_equal(
        definition("sqrt(a) + b*c").gradient(np.array([0.0, 2, 3, 1])), [np.inf, 3, 2, 0]
    )
    np.testing.assert_array_equal(definition("a^0 + a^1 + a^2").gradient(np.zeros(4)), [1, 0, 0, 0])


def test_hessian_by_complex_step():
    compiled = definition("a*b^2 + exp(c)/a + abs(b)")
    a, b, c = params = np.array([0.7, -1.3, 0.4])
    steps = np.concatenate([params, [1.0]]) + 1e-30j * np.eye(4)
    hessian = np.array([compiled.gradient(step).imag for step in steps]) / 1e-30
    expected = np.zeros((4, 4))
    e = math.exp(c)
    expected[:3, :3] = [[2 * e / a**3, 2 * b, -e / a**2], [2 * b, 2 * a, 0], [-e / a**2, 0, e / a]]
    np.testing.assert_allclose(hessian, expected, rtol=1e-12)


def test_unknown_name_shows_its_place():
    text = "lood + 1"
    node = Binary("+", Name("lood", Span(0, 4)), Number(1, Span(7, 8)), Span(0, 8))
    symbols = replace(SYMBOLS, positions={"load": 0})
    with pytest.raises(SpecificationError, match=r"'lood' is not.*Did you mean 'load'") as caught:
        compile_expression(node, symbols, text)
    assert "^^^^" in str(caught.value)

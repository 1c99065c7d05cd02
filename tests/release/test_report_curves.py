"""Curves of a history: what is a history, and how a report draws it."""

import re

import pytest

from fedsynth_common.errors import InputError
from fedsynth_release.report import Curve, StudyHistory
from fedsynth_release.report.curves import panels

FALLING = Curve(
    name="fit",
    panel="loss",
    unit="nats",
    steps=range(300),
    values=[300 / (i + 1) for i in range(300)],
)
MORE = Curve(name="refit", panel="loss", unit="nats", steps=range(300, 310), values=[2.0] * 10)
SHARE = Curve(name="share", x="message", steps=(1, 2), values=(0.4, 0.6))


def points(drawing):
    lines = re.findall(r'points="([^"]*)"', drawing)
    return [[tuple(map(float, point.split(","))) for point in line.split()] for line in lines]


def ticks(drawing, anchor):
    return re.findall(rf'class="tick" text-anchor="{anchor}">([^<]*)<', drawing)


@pytest.mark.parametrize(
    ("steps", "values", "fault"),
    [
        ((), (), "as many steps"),
        ((1,), (1, 2), "as many steps"),
        ((1, 1), (1, 2), "increase"),
        ((2, 1), (1, 2), "increase"),
        ((1,), (float("nan"),), "finite"),
        ((float("inf"),), (1,), "finite"),
    ],
)
def test_what_is_no_curve(steps, values, fault):
    with pytest.raises(ValueError, match=fault):
        Curve(name="x", steps=steps, values=values)


def test_no_curve_stands_twice_and_a_panel_has_one_unit():
    with pytest.raises(ValueError, match="once in a panel"):
        StudyHistory(curves=(FALLING, FALLING))
    with pytest.raises(ValueError, match="one unit"):
        StudyHistory(curves=(FALLING, MORE.model_copy(update={"unit": ""})))
    with pytest.raises(ValueError, match="one unit"):
        StudyHistory(curves=(FALLING, SHARE.model_copy(update={"panel": "loss"})))


def test_a_file_with_a_repeated_curve_is_refused(tmp_path):
    text = StudyHistory(curves=(FALLING, MORE)).to_json().replace('"refit"', '"fit"')
    (tmp_path / "history.json").write_text(text)
    with pytest.raises(InputError, match="not a history of a study"):
        StudyHistory.load(tmp_path / "history.json")


def test_what_may_be_published_has_no_times():
    history = StudyHistory(curves=(SHARE,), seconds={"measure histograms": 3.0}, notes=("x",))
    assert history.without_times() == StudyHistory(curves=(SHARE,), notes=("x",))


def test_curves_of_a_panel_are_one_drawing_in_the_order_of_the_history():
    made = panels((FALLING, SHARE, MORE))
    assert [panel.title for panel in made] == ["loss", "share"]
    assert [len(panel.curves) for panel in made] == [2, 1]
    assert [len(line) for line in points(made[0].drawing)] == [151, 10]
    assert all(panel.drawing.count("<svg") == 1 for panel in made)


def test_lines_lie_inside_and_fall_where_the_values_fall():
    (panel,) = panels((FALLING, MORE))
    width, height = (float(n) for n in re.search(r'0 0 (\d+) (\d+)"', panel.drawing).groups())
    fit, refit = points(panel.drawing)
    assert all(0 <= x <= width and 0 <= y <= height for x, y in fit + refit)
    assert [x for x, _ in fit] == sorted(x for x, _ in fit)
    assert [y for _, y in fit] == sorted(y for _, y in fit)  # downwards is a larger y
    assert refit[0][0] > fit[-1][0]
    assert len({y for _, y in refit}) == 1


def test_a_loss_that_falls_by_far_is_drawn_on_a_logarithmic_scale():
    assert panels((FALLING,))[0].logarithmic
    assert ticks(panels((FALLING,))[0].drawing, "end") == [
        "1",
        "2",
        "5",
        "10",
        "20",
        "50",
        "100",
        "200",
    ]
    assert not panels((SHARE,))[0].logarithmic
    zero = Curve(name="x", steps=(0, 1), values=(1000, 0))
    assert not panels((zero,))[0].logarithmic
    far = Curve(name="x", steps=(0, 1), values=(1e5, 1e-5))
    assert ticks(panels((far,))[0].drawing, "end")[:3] == ["1e-05", "0.0001", "0.001"]


def test_the_words_say_where_each_line_goes():
    (panel,) = panels((FALLING, MORE))
    assert panel.words == (
        "loss in nats: fit from 300 at step 0 to 1 at 299, at the lowest 1; "
        "refit from 2 at step 300 to 2 at 309, at the lowest 2"
    )
    assert f'aria-label="{panel.words}"' in panel.drawing


def test_lines_differ_by_more_than_colour_and_are_named():
    (panel,) = panels((FALLING, MORE))
    kinds = re.findall(r'polyline class="([^"]*)"', panel.drawing)
    assert kinds == ["curve k0", "curve k1"]
    assert re.findall(r'class="label"[^>]*>([^<]*)<', panel.drawing) == ["fit", "refit"]
    assert 'class="label"' not in panels((SHARE,))[0].drawing  # its title names it


@pytest.mark.parametrize("values", [(0.0,), (3.0,), (-2.0,), (1e-9,)])
def test_a_single_point_is_drawn(values):
    drawing = panels((Curve(name="x", steps=(7,), values=values),))[0].drawing
    assert "<circle" in drawing
    assert "nan" not in drawing
    assert ticks(drawing, "middle") == ["7"]


def test_a_foreign_name_is_escaped():
    evil = Curve(name='"><script>', panel="</svg>", steps=(1,), values=(1,))
    other = evil.model_copy(update={"name": "<b>"})
    drawing = panels((evil, other))[0].drawing
    assert not re.search("<(script|b)>", drawing)
    assert drawing.count("</svg>") == 1

"""The playground: controls, address and run say the same, and what is wrong is said where it is."""

import pytest

from core.config import RunConfig
from core.data.sources import SOURCES
from core.link import SETTINGS, from_query
from core.nn.activations import ACTIVATIONS
from core.nn.losses import LOSSES
from core.nn.optimizers import OPTIMIZERS
from core.nn.schedules import SCHEDULES
from core.presets import OPENING, PRESETS
from tests.core.live_runs import until

WITHOUT_FILE = [name for name in SOURCES if name != "file"]


@pytest.fixture
def page(open_page):
    return open_page()


def test_the_page_opens_with_the_first_preset_ready_to_play(page):
    assert page.session.config == OPENING
    assert page.selectbox(key="preset").value == next(iter(PRESETS))
    assert "Ready" in page.words and page.step == 0


def test_every_control_explains_itself(page):
    kinds = ("selectbox", "text_input", "slider", "select_slider", "pills", "segmented_control", "toggle")
    controls = [element for kind in kinds for element in getattr(page, kind)]
    unexplained = {element.key for element in controls if not element.proto.help}
    assert len(controls) > 20 and not unexplained


def test_every_setting_of_the_table_has_a_control(page):
    page.set("selectbox", "init.bias", "uniform")
    shown = set()
    for name in OPTIMIZERS:
        page.set("selectbox", "optimizer.name", name)
        page.set("selectbox", "optimizer.schedule.name", "step")
        shown |= {element.key for kind in ("selectbox", "text_input", "slider", "button_group") for element in page.get(kind)}
    page.set("text_input", "stop.patience", 4)
    shown |= {element.key for element in page.text_input} | {element.key for element in page.toggle}
    page.set("segmented_control", "data.source", "hills")
    shown |= {element.key for element in page.selectbox}
    missing = {name for name, spec in SETTINGS.items() if "kind" in spec.metadata} - shown
    assert missing == {"data.path", "data.task", "data.missing", "data.test_path"}  # of an uploaded file only


def test_what_else_a_layer_has_is_set_layer_by_layer(page):
    page.set("selectbox", "layers.chosen", 0).set("text_input", "layers.0.dropout", 0.25)
    page.set("selectbox", "layers.0.normalization", "batch").set("toggle", "layers.0.bias", False)
    first = page.live_run.config.layers[0]
    assert (first.dropout, first.normalization, first.bias, first.init) == (0.25, "batch", False, None)
    page.set("selectbox", "layers.0.init.weights", "uniform_0_1").set("text_input", "layers.0.init.scale", 0.5)
    assert (page.live_run.config.layers[0].init.weights, page.live_run.config.layers[0].init.scale) == ("uniform_0_1", 0.5)
    assert page.query["layers"].startswith("8-tanh~dropout.0.25~normalization.batch~bias.false~init.weights.uniform_0_1~init.scale.0.5_")
    page.set("selectbox", "layers.0.init.weights", "none")
    assert page.live_run.config.layers[0].init is None
    page.set("text_input", "layers.0.dropout", 2)
    assert "Dropout must be a number from 0 to 0" in page.words
    page.set("text_input", "layers.0.dropout", 0).set("selectbox", "layers.chosen", 2)
    assert not any(element.key == "layers.2.dropout" for element in page.text_input)


def test_a_learning_rate_changes_the_living_run_and_the_address(page):
    page.press("step").set("text_input", "optimizer.learning_rate", 0.25)
    assert page.live_run.config.optimizer.learning_rate == 0.25
    assert page.query["optimizer.learning_rate"] == "0.25"
    assert page.step == 1
    assert [event.step for event in page.live_run.snapshot().events] == [1]


def test_the_slider_and_the_field_show_one_learning_rate(page):
    page.set("select_slider", "learning rate slider", 0.5)
    assert page.number("optimizer.learning_rate") == page.live_run.config.optimizer.learning_rate == 0.5
    page.set("text_input", "optimizer.learning_rate", 0.0123)
    assert page.select_slider(key="learning rate slider").value == 0.01
    assert page.live_run.config.optimizer.learning_rate == 0.0123


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [("slider", "data.noise", 0.2), ("text_input", "seed", 3), ("selectbox", "loss", "mse"), ("text_input", "layers.0.units", 5)],
)
def test_another_setting_begins_a_new_run(page, kind, key, value):
    page.press("step").set(kind, key, value)
    assert page.step == 0
    assert page.live_run.config == page.session.config == from_query(page.query) != OPENING


def test_a_playing_run_goes_on_playing_with_new_data(page):
    page.press("play").set("slider", "data.noise", 0.3)
    assert page.live_run.snapshot().status == "running"


@pytest.mark.parametrize("source", WITHOUT_FILE)
def test_every_source_runs_and_the_output_follows_the_task(page, source):
    page.set("segmented_control", "data.source", source)
    config = page.live_run.config
    assert config.data.source == source
    suited = RunConfig.from_dict({"data": {"source": source}})
    assert (config.layers[-1], config.loss) == (suited.layers[-1], suited.loss)
    assert config.layers[:-1] == OPENING.layers[:-1]
    assert page.press("step").step == 1


def test_every_activation_can_be_chosen_inside_and_at_the_output(page):
    for name in ACTIVATIONS:
        page.set("selectbox", "layers.2.output", name)
        assert page.live_run.config.layers[-1].activation == name
        page.set("selectbox", "layers.0.activation", name)
        assert page.live_run.config.layers[0].activation == name
    assert page.live_run.config.layers[-1].units == 2  # softmax, the last one: a unit for each class


def test_every_optimizer_shows_its_own_settings(page):
    every = {name for optimizer in OPTIMIZERS.values() for name in optimizer.hyperparameters}
    for name, optimizer in OPTIMIZERS.items():
        page.set("selectbox", "optimizer.name", name)
        assert page.live_run.config.optimizer.name == name
        shown = {element.key.removeprefix("optimizer.") for element in page.text_input}
        assert shown & every == set(optimizer.hyperparameters)


def test_every_loss_and_schedule_can_be_chosen(page):
    for name in LOSSES:
        page.set("selectbox", "loss", name)
        assert page.live_run.config.loss == name
    for name in SCHEDULES:
        page.set("selectbox", "optimizer.schedule.name", name)
        assert page.live_run.config.optimizer.schedule.name == name


def test_layers_are_added_up_to_eight_and_removed(page):
    for _ in range(6):
        page.press("add layer")
    assert len(page.live_run.config.layers) == 9
    assert page.button(key="add layer").disabled
    page.set("text_input", "layers.1.units", 3)
    page.press("remove layer 1")
    assert [layer.units for layer in page.live_run.config.layers] == [3, 8, 8, 8, 8, 8, 8, 1]
    for _ in range(7):
        page.press("remove layer 1")
    assert len(page.live_run.config.layers) == 1


def test_a_batch_size_left_empty_takes_all_samples(page):
    page.set("text_input", "batch_size", None)
    assert page.live_run.config.batch_size is None
    assert page.query["batch_size"] == "none"


def test_a_refused_value_stays_in_its_control_and_the_run_goes_on(page):
    page.press("step").set("text_input", "optimizer.learning_rate", 0.0)
    assert "Learning rate must be a number above 0" in page.words.replace("\\", "")
    assert page.number("optimizer.learning_rate") == 0.0
    assert page.live_run.config == OPENING and page.step == 1
    assert page.query == {}
    page.set("text_input", "optimizer.learning_rate", 0.1)
    assert "must be" not in page.words and page.live_run.config.optimizer.learning_rate == 0.1


def test_what_is_too_large_is_refused_in_place(page):
    page.set("segmented_control", "data.source", "photo_upscale")
    page.set("text_input", "data.samples", 100_000)
    assert "Samples must" in page.words
    assert page.live_run.config.data.samples == SOURCES["photo_upscale"].samples


def test_scaled_targets_do_not_stand_in_the_way_of_classes(page):
    page.set("segmented_control", "data.source", "hills").set("selectbox", "data.target_scaling", "standard")
    page.set("segmented_control", "data.source", "circle")
    assert page.live_run.config.data.source == "circle"


def test_step_epoch_reset_and_new_seed(page):
    assert page.press("step").step == 1
    page.press("epoch")
    until(lambda: page.step == 25)
    assert page.press("reset").step == 0
    first = page.live_run.snapshot().layers[0].weights
    page.press("new_seed")
    assert page.live_run.config.seed == page.number("seed") == 1
    assert (page.live_run.snapshot().layers[0].weights != first).any()


def test_one_line_says_what_the_folded_settings_are(page):
    assert "Loss binary cross entropy, optimizer SGD, batch size 10, noise 0.1, test share 0.5" in plain(page.words)
    page.set("text_input", "penalty.l2", 0.01)
    page.set("text_input", "batch_size", None)
    assert "batch size all, noise 0.1, test share 0.5, L2 penalty 0.01" in plain(page.words)


def plain(text):
    """What Markdown shows of a text that it is to show as it is."""
    return text.replace("\\", "")


def test_a_slow_speed_holds(page):
    page.press("speed", "1 step/s").press("play")
    assert page.session.run.speed == 1 and page.head["buttons"]["speed"]["value"] == "1 step/s"
    assert page.run().step <= 20


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_loads_and_is_named(open_page, name):
    page = open_page(**{"data.source": "blobs"})
    page.set("selectbox", "preset", name)
    assert page.live_run.config == PRESETS[name].config
    assert page.selectbox(key="preset").value == name
    assert PRESETS[name].about in page.words
    page.press("step")


def test_a_run_of_ones_own_is_no_preset(page):
    assert page.set("text_input", "seed", 5).selectbox(key="preset").value is None


def test_overflow_pauses_the_run_and_says_what_to_press(page):
    page.set("selectbox", "preset", "explosion").press("play")
    while page.live_run.snapshot().status == "running":
        pass
    page.run()
    assert "Not a number at step 210" in page.words
    assert 'class="finding critical"' in page.words and "Critical" in page.words
    assert "Reset" in page.words
    assert not any(page.can(name) for name in ("play", "step", "epoch"))
    page.press("reset")
    assert page.can("play") and page.step == 0


def test_the_view_follows_the_network(page):
    page.set("toggle", "view.hard_edges", True).set("toggle", "view.show_test", True)
    page.set("segmented_control", "view.histogram", "gradients").set("selectbox", "view.histogram_layer", 3)
    page.press("remove layer 1")
    assert page.selectbox(key="view.histogram_layer").value == 2
    assert page.toggle(key="view.hard_edges").value and page.segmented_control(key="view.histogram").value == "gradients"


def test_a_picked_unit_can_be_edited(page):
    page.press("pick", [2, 3])
    page.set("selectbox", "source of unit 4 of layer 2", 1)
    page.set("text_input", "value 1 of unit 4 of layer 2", 2.5).press("set")
    unit = page.live_run.snapshot((2, 3)).unit
    assert dict(zip(unit.sources.tolist(), unit.weights.tolist()))[1] == 2.5
    page.set("selectbox", "source of unit 4 of layer 2", None)
    page.set("text_input", "value None of unit 4 of layer 2", -1.0).press("set")
    assert page.live_run.snapshot((2, 3)).unit.bias == -1.0
    assert len(page.live_run.snapshot().events) == 2
    page.press("close unit")
    assert page.session.picked is None and "set" not in {button.key for button in page.button}


class TestABrowserThatIsBehind:
    """It sends what a control showed before the page moved it, or the mark that the page has put the slider on."""

    @pytest.fixture
    def behind(self, page):
        """The page, played, before its browser shows that the slider was moved."""
        page.press("play")
        with page.lagging():
            page.set("text_input", "optimizer.learning_rate", 0.09)
            assert page.select_slider(key="learning rate slider").value == 0.1
            yield page

    @pytest.mark.parametrize("old", [0.03, 0.1])
    def test_does_not_undo_what_was_typed(self, behind, old):
        behind.set("select_slider", "learning rate slider", old)
        assert behind.session.config.optimizer.learning_rate == behind.live_run.config.optimizer.learning_rate == 0.09

    def test_does_not_bring_the_preset_back(self, behind):
        assert behind.selectbox(key="preset").value is None
        behind.set("selectbox", "preset", "spiral")
        assert behind.session.config.optimizer.learning_rate == 0.09 and behind.live_run.snapshot().step > 0

    @pytest.mark.parametrize("new", [0.2, 0.05])
    def test_a_person_is_heard(self, behind, new):
        behind.set("select_slider", "learning rate slider", new)
        assert behind.session.config.optimizer.learning_rate == behind.live_run.config.optimizer.learning_rate == new

    def test_that_has_caught_up_is_heard(self, behind):
        behind.is_lagging = False
        behind.set("select_slider", "learning rate slider", 0.03)
        assert behind.session.config.optimizer.learning_rate == behind.live_run.config.optimizer.learning_rate == 0.03

    def test_that_has_drawn_it_and_sends_the_old_value_beside_a_new_one_brings_nothing_back(self, page, monkeypatch):
        page.set("segmented_control", "data.source", "moons")
        page.selectbox(key="preset").set_value("spiral")
        page.set("selectbox", "loss", "hinge")
        assert (page.session.config.data.source, page.session.config.loss) == ("moons", "hinge")
        monkeypatch.setattr("pages.training.sidebar.JUST_MOVED", 0.0)
        page.set("selectbox", "preset", "spiral")  # later on it is heard
        assert page.session.config.data.source == "spiral"


def test_each_press_counts_once(page):
    assert page.press("new_seed").press("new_seed").session.config.seed == page.live_run.config.seed == 2

"""Recipes for sequence models, one file each: ``wakeword train --recipe FILE_NAME``.

How to add one: write ``NAME.py`` here, at most 150 lines of wiring, whose docstring's first line is
its title, with

- a frozen dataclass of settings and two of them, ``CONFIG`` and ``SMALL`` (under a minute);
- ``LEDGER``: the data sets, each with name, source, licence and used_for;
- ``load(run)``: read data through ``run.file("lm/x.zip")``; draw only from ``run.rng("purpose")``;
- ``build(run, data)``: the Keras models, of `wakeword_train.layers` and `wakeword_train.models`;
- ``fit(run, data, models)``: one ``run.fit(name, model, draw, loss, FitConfig(...), check)`` a
  model. ``draw(rng, number)`` makes a batch of arrays of fixed shape, ``loss(*batch)`` its loss,
  ``check()`` a figure to choose weights by, never measured on the test part;
- ``evaluate(run, data, models)``: rows of the table, with baselines and references if
  ``run.compare``;
- ``export(run, data, models)``: bundles in ``run.out``, and rows on what became of the model.

Whatever is more than wiring (a model, a metric, a data format) is a module of its own with tests.
A test in ``tests/test_recipes_sequence.py`` runs every small version; the table is written by
``wakeword train --recipe NAME --compare --table docs/SEQUENCE_MODELS.md``.
"""

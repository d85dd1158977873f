-- brief: run: tasks, accuracies, images and seeds
-- A task of a run: the accuracies that it ranks by, the image set that its minibatch is drawn from, how its statistics
-- were collected (batch size in images, seed, pattern, loss, collection), and how many networks evolve and test.
-- parameter: run TEXT 'latest' the run, or 'latest' for the one started last
SELECT
    t.task,
    t.metric,
    t.images,
    c.batch_size,
    c.seed,
    c.pattern,
    c.loss,
    t.collection,
    t.evolve_networks,
    t.test_networks
FROM tasks AS t
LEFT JOIN collections AS c USING (collection)
WHERE t.run = chosen_run($run)
ORDER BY t.position

-- brief: scores: the accuracy of the network that a program or proxy ranks first
-- A program or known proxy as the only guide to a network: of `networks` networks drawn at random from those of a
-- collection, the accuracy (percent) of the one with the highest score; the mean over `draws` draws, the lowest and the
-- highest, and the mean of the best accuracy there was in a draw. All programs of a task have the same draws where they
-- scored the same networks. Of networks with one score the first by its text is taken.
-- parameter: networks INTEGER 1000 networks in a draw, or all where there are fewer
-- parameter: draws INTEGER 20 how often is drawn
-- parameter: collection TEXT 'all' the collection, or 'all'
-- parameter: metric TEXT 'test' the accuracies that count
WITH drawn AS (
    SELECT task, collection, name, batch_size, arch, score, accuracy, draw
    FROM scored_networks, range($draws) AS d (draw)
    WHERE metric = $metric AND isfinite(score) AND $collection IN ('all', collection)
    QUALIFY
        row_number() OVER (
            PARTITION BY collection, task, name, draw ORDER BY md5(concat(arch, ' ', draw)), arch
        ) <= $networks
),
chosen AS (
    SELECT
        task,
        collection,
        name,
        batch_size,
        draw,
        first(accuracy ORDER BY score DESC, arch) AS accuracy,
        max(accuracy) AS best,
        count(*) AS networks
    FROM drawn
    GROUP BY ALL
)
SELECT
    task,
    name,
    batch_size,
    avg(accuracy) AS accuracy_mean,
    min(accuracy) AS accuracy_lowest,
    max(accuracy) AS accuracy_highest,
    avg(best) AS accuracy_best,
    max(networks) AS networks,
    count(*) AS draws
FROM chosen
GROUP BY task, collection, name, batch_size
ORDER BY task, batch_size, accuracy_mean DESC, name
